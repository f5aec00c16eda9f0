"""A KV cache of blocks for transformers' own decoders, and the attention that reads it.

A decoder of transformers calls whatever attention its configuration names; ours is registered as
``PAGED_ATTENTION``. It receives a ``PagedStep`` through the decoder's keyword arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """Keys and values of each layer, [blocks + 1, block tokens, kv heads, head].

    After the ``num_blocks`` that may be allocated comes one scratch block that is never read. Layers may be
    on several devices.
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
        device: str | Sequence[str],
    ) -> None:
        """``device`` is that of all layers, or one for each layer."""
        self.num_blocks = num_blocks
        self.block_tokens = block_tokens
        names = [device] * layers if isinstance(device, str) else list(device)
        shape = num_blocks + 1, block_tokens, kv_heads, head_dim
        # Layers of one device are one tensor. Not empty: a masked value still counts if it is not a number.
        self._stacks = {
            name: [torch.zeros((names.count(name), *shape), dtype=dtype, device=name) for _ in range(2)]
            for name in dict.fromkeys(names)
        }
        layers_of = {name: zip(*stacks, strict=True) for name, stacks in self._stacks.items()}
        pairs = [next(layers_of[name]) for name in names]
        self.keys = tuple(keys for keys, _ in pairs)
        self.values = tuple(values for _, values in pairs)
        self.devices = tuple(dict.fromkeys(keys.device for keys in self.keys))

    @property
    def device(self) -> torch.device:
        """Where the first layer is."""
        return self.devices[0]

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        for stack in itertools.chain(*self._stacks.values()):
            stack[:, target] = stack[:, source]


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
    are_lone: bool = False  # one group, of one token of each sequence
    elsewhere: Mapping[torch.device, PagedStep] = field(default_factory=dict)

    def on(self, device: torch.device) -> PagedStep:
        """Return the step with its tensors on a device of the cache."""
        return self.elsewhere.get(device, self)

    def moved(self, device: torch.device) -> PagedStep:
        """Return a copy on another device."""
        groups = (
            _Group(one.rows_NT.to(device), one.blocks_NB.to(device), one.mask_NTL.to(device))
            for one in self.groups
        )
        positions_T, blocks_T, offsets_T = (
            one.to(device) for one in (self.positions_T, self.blocks_T, self.offsets_T)
        )
        return PagedStep(self.cache, positions_T, blocks_T, offsets_T, tuple(groups))

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
        step = cls(
            cache,
            torch.from_numpy(joined).to(device),
            torch.from_numpy(blocks).to(device),
            torch.from_numpy(joined % size).to(device),
            groups,
        )
        return replace(step, elsewhere={one: step.moved(one) for one in cache.devices[1:]})

    @classmethod
    def of_lone_tokens(cls, cache: PagedCache, positions_N: Tensor, blocks_NB: Tensor) -> PagedStep:
        """Plan one token of each sequence; block tables are filled up with the scratch block."""
        rows_N = torch.arange(len(positions_N), device=positions_N.device)
        tokens = torch.arange(blocks_NB.shape[1] * cache.block_tokens, device=positions_N.device)
        mask_NTL = (tokens[None] <= positions_N[:, None])[:, None]
        blocks_N = blocks_NB[rows_N, positions_N // cache.block_tokens]
        group = _Group(rows_N[:, None], blocks_NB, mask_NTL)
        return cls(cache, positions_N, blocks_N, positions_N % cache.block_tokens, (group,), are_lone=True)


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
    paged = paged.on(keys.device)
    keys[paged.blocks_T, paged.offsets_T] = key[0].transpose(0, 1).to(keys.dtype)
    values[paged.blocks_T, paged.offsets_T] = value[0].transpose(0, 1).to(values.dtype)
    heads, num_tokens, head_dim = query.shape[1:]
    kv_heads = keys.shape[2]
    shared = heads // kv_heads
    query_THE = query[0].transpose(0, 1)
    if paged.are_lone and query.is_cuda:
        return attend_by_blocks(query_THE, keys, values, paged.groups[0], scaling)[None], None
    attended_THE = query.new_empty(num_tokens, heads, head_dim)
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


def attend_by_blocks(
    query_NHE: Tensor, keys: Tensor, values: Tensor, group: _Group, scaling: float | None
) -> Tensor:
    """Return what one token of each sequence attends to, [sequences, heads, head]; for compiled code.

    A long sequence alone has too few heads to keep a GPU busy, so that each block is summed by itself.
    Written as sums of products, which become kernels that read the cache where it is.
    """
    num_rows, heads, head_dim = query_NHE.shape
    scale = head_dim**-0.5 if scaling is None else scaling
    query_N11KSE = query_NHE.float().reshape(num_rows, 1, 1, keys.shape[2], -1, head_dim) * scale
    scores_NBTKS = (query_N11KSE * keys[group.blocks_NB].float()[..., None, :]).sum(-1)
    hidden_NBT = ~group.mask_NTL.reshape(scores_NBTKS.shape[:3])
    scores_NBTKS = scores_NBTKS.masked_fill(hidden_NBT[..., None, None], -torch.inf)
    weights_NBTKS = scores_NBTKS.flatten(1, 2).softmax(1).reshape(scores_NBTKS.shape)
    by_block = (weights_NBTKS[..., None] * values[group.blocks_NB].float()[..., None, :]).sum(2)
    return by_block.sum(1).reshape(num_rows, heads, head_dim).to(query_NHE.dtype)


AttentionInterface.register(PAGED_ATTENTION, attend)
