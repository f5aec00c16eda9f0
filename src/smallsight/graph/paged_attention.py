"""Attention over a KV cache in blocks, for several sequences at once.

Tokens see what is before them. Where a network has token types, those of type 1 that lie side by side and
are computed together see all of one another. The one place that knows the runtime's operator, whose 28
inputs change between releases: openvino is pinned to its minor version for it. Block tables are ours; the
plugin chooses the cache's number type and layout, which ``engine.kv_cache`` reads back from the compiled
network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset15 as ops
from openvino.op import _PagedAttentionExtension

BLOCK_TOKENS = 32


@dataclass(frozen=True)
class PagedInputs:
    """The inputs that say where each sequence's tokens are; int32 vectors but for the scalar last one.

    ``past_lens`` [sequences]: tokens already in the cache. ``subsequence_begins`` [sequences + 1]: where each
    sequence's new tokens begin among all. ``block_indices``: the block tables one after the other;
    ``block_indices_begins`` [sequences + 1]: where each begins. ``max_context_len``: the longest, new tokens
    included. ``token_types`` [new tokens], in networks that have it: 0 or 1.
    """

    past_lens: Node
    subsequence_begins: Node
    block_indices: Node
    block_indices_begins: Node
    max_context_len: Node
    token_types: Node | None = None

    @property
    def parameters(self) -> list[Node]:
        """All of them, in the order above."""
        always = [
            self.past_lens,
            self.subsequence_begins,
            self.block_indices,
            self.block_indices_begins,
            self.max_context_len,
        ]
        return always if self.token_types is None else [*always, self.token_types]


def paged_inputs(*, has_token_types: bool = False) -> PagedInputs:
    """Make the inputs; a network has them once, for all its layers."""
    names = ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins")
    past, begins, blocks, block_begins = (ops.parameter([-1], np.int32, name=name) for name in names)
    longest = ops.parameter([], np.int32, name="max_context_len")
    types = ops.parameter([-1], np.int32, name="token_types") if has_token_types else None
    return PagedInputs(past, begins, blocks, block_begins, longest, types)


def cache_inputs(layer: int, num_kv_heads: int, head_dim: int) -> tuple[Node, Node]:
    """Make one layer's key and value cache; number type and layout are placeholders for the plugin's own."""
    shape = [-1, num_kv_heads, BLOCK_TOKENS, head_dim]
    keys = ops.parameter(shape, np.float32, name=f"key_cache.{layer}")
    values = ops.parameter(shape, np.float32, name=f"value_cache.{layer}")
    return keys, values


def attend_paged(
    query_key_value: Sequence[Node],
    caches: tuple[Node, Node],
    inputs: PagedInputs,
    *,
    num_kv_heads: int,
    head_dim: int,
) -> Node:
    """Store new keys and values in their blocks and attend to what is seen: [tokens, heads * head_dim]."""
    no_ints, no_floats = _nothing(np.int32), _nothing(np.float32)
    arguments = [
        *query_key_value,
        *caches,
        inputs.past_lens,
        inputs.subsequence_begins,
        inputs.block_indices,
        inputs.block_indices_begins,
        ops.constant(np.float32(head_dim**-0.5)),  # scale
        ops.constant(np.int32(0)),  # no sliding window
        no_floats,  # no ALiBi slopes
        inputs.max_context_len,
        no_ints,  # no score aggregation
        no_ints,  # no rotated blocks: indices, deltas and table
        no_ints,
        no_floats,
        no_floats,  # no sparse attention: threshold, block size and stride
        ops.constant(np.int32(0)),
        ops.constant(np.int32(0)),
        no_floats,  # no sinks
        ops.constant(np.int32(0)),  # no cache eviction: four inputs
        no_ints,
        no_ints,
        no_ints,
        no_ints if inputs.token_types is None else inputs.token_types,
        _nothing(np.uint8),  # no bias between queries, and where it would begin
        no_ints,
    ]
    node = _PagedAttentionExtension([_output(argument) for argument in arguments])
    facts = node.get_rt_info()
    for side in "kv":
        facts[f"{side}_head_size"] = head_dim
        facts[f"num_{side}_heads"] = num_kv_heads
    return node.output(0)


def _nothing(kind: type[np.generic]) -> Node:
    return ops.constant(np.zeros((0,), kind))


def _output(argument: Node) -> ov.Output:
    return argument.output(0) if hasattr(argument, "output") else argument
