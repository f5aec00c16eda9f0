"""Attention over a KV cache in blocks, for several sequences at once.

Tokens attend to earlier ones. In a network with token types, adjacent tokens of type 1 that are computed
together also attend to one another. Only this file uses the runtime's operator, whose 28 inputs change
between releases; that is why openvino is pinned to its minor version. We manage the block tables; the plugin
chooses the cache's number type and layout, which ``engine.openvino.kv_cache`` reads from the compiled
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
    """The inputs that locate each sequence's tokens; all int32.

    ``past_lens`` [sequences]: tokens already in the cache. ``subsequence_begins`` [sequences + 1]: offsets of
    each sequence's new tokens. ``block_indices``: the concatenated block tables. ``block_indices_begins``
    [sequences + 1]: their offsets. ``max_context_len``, a scalar: the longest sequence including new tokens.
    ``token_types`` [new tokens], in networks that have it: 0 or 1.
    """

    past_lens: Node
    subsequence_begins: Node
    block_indices: Node
    block_indices_begins: Node
    max_context_len: Node
    token_types: Node | None = None

    @property
    def parameters(self) -> list[Node]:
        """All inputs, in the order above."""
        always = [
            self.past_lens,
            self.subsequence_begins,
            self.block_indices,
            self.block_indices_begins,
            self.max_context_len,
        ]
        return always if self.token_types is None else [*always, self.token_types]


def paged_inputs(*, has_token_types: bool = False) -> PagedInputs:
    """Create the inputs, which all layers of a network share."""
    names = ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins")
    past, begins, blocks, block_begins = (ops.parameter([-1], np.int32, name=name) for name in names)
    longest = ops.parameter([], np.int32, name="max_context_len")
    types = ops.parameter([-1], np.int32, name="token_types") if has_token_types else None
    return PagedInputs(past, begins, blocks, block_begins, longest, types)


def cache_inputs(layer: int, num_kv_heads: int, head_dim: int) -> tuple[Node, Node]:
    """Create one layer's key and value cache; the plugin replaces number type and layout."""
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
    """Store the new keys and values in their blocks and attend; returns [tokens, heads * head_dim]."""
    no_ints, no_floats = _empty(np.int32), _empty(np.float32)
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
        _empty(np.uint8),  # no bias between queries, and its offsets
        no_ints,
    ]
    node = _PagedAttentionExtension([_output(argument) for argument in arguments])
    facts = node.get_rt_info()
    for side in "kv":
        facts[f"{side}_head_size"] = head_dim
        facts[f"num_{side}_heads"] = num_kv_heads
    return node.output(0)


def _empty(kind: type[np.generic]) -> Node:
    return ops.constant(np.zeros((0,), kind))


def _output(argument: Node) -> ov.Output:
    return argument.output(0) if hasattr(argument, "output") else argument
