"""A KV cache of blocks for transformers' own decoders, and the attention that reads it.

A decoder of transformers calls whatever attention its configuration names; ours is registered as
``PAGED_ATTENTION``. It receives a ``PagedStep`` through the decoder's keyword arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from smallsight.engine.decoding.runner import StepInput

PAGED_ATTENTION = "smallsight_paged"


class PagedCache:
    """Keys and values, each [layers, blocks + 1, block tokens, kv heads, head].

    After the ``num_blocks`` that may be allocated comes one scratch block that is never read.
    """

    def __init__(
        self,
        *,
        layers: int,
        num_blocks: int,
        block_tokens: int,
        kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        self.num_blocks = num_blocks
        self.block_tokens = block_tokens
        shape = layers, num_blocks + 1, block_tokens, kv_heads, head_dim
        # Not empty: a masked value still counts if it is not a number.
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.keys.device

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        self.keys[:, target] = self.keys[:, source]
        self.values[:, target] = self.values[:, source]


@dataclass(frozen=True, eq=False)
class _Group:
    """Pieces of one length that are computed in one call.

    ``rows_NT`` are their rows among the step's tokens, ``blocks_NB`` their block tables, filled up with the
    scratch block, and ``mask_NTL`` says which of the cached tokens each row attends to.
    """

    rows_NT: Tensor
    blocks_NB: Tensor
    mask_NTL: Tensor


@dataclass(frozen=True, eq=False)
class PagedStep:
    """The pieces of one step: where their keys and values go, and what each attends to."""

    cache: PagedCache
    positions_T: Tensor
    blocks_T: Tensor
    offsets_T: Tensor
    groups: tuple[_Group, ...]

    @classmethod
    def plan(cls, steps: Sequence[StepInput], cache: PagedCache) -> PagedStep:
        """Plan the pieces, whose tokens are concatenated in this order."""
        positions = [np.arange(step.begin, step.end) for step in steps]
        tables = [np.array(step.block_table, np.int64) for step in steps]
        size, device = cache.block_tokens, cache.device
        first_rows = np.cumsum([0, *(len(one) for one in positions)])
        joined = np.concatenate(positions)
        blocks = np.concatenate([table[at // size] for table, at in zip(tables, positions, strict=True)])
        lone = [index for index, at in enumerate(positions) if len(at) == 1]
        indices = [lone] * bool(lone) + [[one] for one, at in enumerate(positions) if len(at) > 1]
        groups = tuple(
            _group(
                [first_rows[one] + np.arange(len(positions[one])) for one in group],
                [positions[one] for one in group],
                [tables[one] for one in group],
                [steps[one].prefix_tokens for one in group],
                cache,
            )
            for group in indices
        )
        return cls(
            cache,
            torch.from_numpy(joined).to(device),
            torch.from_numpy(blocks).to(device),
            torch.from_numpy(joined % size).to(device),
            groups,
        )


def _group(
    rows: Sequence[NDArray[np.int64]],
    positions: Sequence[NDArray[np.int64]],
    tables: Sequence[NDArray[np.int64]],
    prefixes: Sequence[int],
    cache: PagedCache,
) -> _Group:
    num_blocks = max(len(table) for table in tables)
    blocks_NB = np.full((len(tables), num_blocks), cache.num_blocks, np.int64)
    for row, table in zip(blocks_NB, tables, strict=True):
        row[: len(table)] = table
    # A token attends to itself and all before it; those of a prefix to the whole prefix.
    last_NT = np.maximum(np.stack(positions), np.array(prefixes)[:, None] - 1)
    mask_NTL = np.arange(num_blocks * cache.block_tokens) <= last_NT[..., None]
    return _Group(*(torch.from_numpy(one).to(cache.device) for one in (np.stack(rows), blocks_NB, mask_NTL)))


def attend(
    module: Any,  # noqa: ANN401 - an attention module of transformers
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - the step has its own
    *,
    paged: PagedStep,
    scaling: float | None = None,
    **_: Any,  # noqa: ANN401 - what other attentions need
) -> tuple[Tensor, None]:
    """Store the step's keys and values, [1, heads, tokens, head]; return the values attended to.

    The result is [1, tokens, heads, head]. ``module.layer_idx`` is the layer of the cache. Heads that share
    keys are rows of one product.
    """
    layer: int = module.layer_idx
    keys, values = paged.cache.keys[layer], paged.cache.values[layer]
    keys[paged.blocks_T, paged.offsets_T] = key[0].transpose(0, 1).to(keys.dtype)
    values[paged.blocks_T, paged.offsets_T] = value[0].transpose(0, 1).to(values.dtype)
    heads, num_tokens, head_dim = query.shape[1:]
    kv_heads = keys.shape[2]
    shared = heads // kv_heads
    attended_THE = query.new_empty(num_tokens, heads, head_dim)
    query_THE = query[0].transpose(0, 1)
    for group in paged.groups:
        num_pieces, length = group.rows_NT.shape
        rows = query_THE[group.rows_NT].reshape(num_pieces, length, kv_heads, shared, head_dim)
        rows = rows.permute(0, 2, 3, 1, 4).reshape(num_pieces, kv_heads, shared * length, head_dim)
        seen_keys, seen_values = (
            one[group.blocks_NB].reshape(num_pieces, -1, kv_heads, head_dim).transpose(1, 2)
            for one in (keys, values)
        )
        mask = group.mask_NTL.repeat(1, shared, 1)[:, None]
        found = scaled_dot_product_attention(
            rows, seen_keys.to(rows.dtype), seen_values.to(rows.dtype), attn_mask=mask, scale=scaling
        )
        found = found.reshape(num_pieces, kv_heads, shared, length, head_dim).permute(0, 3, 1, 2, 4)
        attended_THE[group.rows_NT] = found.reshape(num_pieces, length, heads, head_dim)
    return attended_THE[None], None


AttentionInterface.register(PAGED_ATTENTION, attend)
