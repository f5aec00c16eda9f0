"""Runs a paged decoder: places of tokens in, logits out. It decides nothing about sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.openvino.kv_cache import KeyValueCache
from smallsight.graph.compiled import CompiledNetwork

SCALAR_INPUT, TYPES_INPUT = "max_context_len", "token_types"


@dataclass(frozen=True, eq=False)
class StepInput:
    """Tokens [begin, end) of one sequence to compute now, with the blocks that hold it up to ``end``.

    The sequence's first ``prefix_tokens`` see one another; they are computed in one piece.
    """

    embeddings_TD: NDArray[np.float32]
    begin: int
    block_table: Sequence[int]
    wants_logits: bool
    prefix_tokens: int = 0

    @property
    def end(self) -> int:
        """The position after the last token."""
        return self.begin + len(self.embeddings_TD)


class TextRunner:
    """One request of a compiled decoder, with its cache. Used by one thread at a time."""

    def __init__(
        self,
        network: CompiledNetwork,
        *,
        cache_bytes: int,
        min_tokens: int,
        on_packed: Callable[[], None] | None = None,
    ) -> None:
        """``on_packed`` is called after the first step, when the runtime has its own copy of the weights."""
        self._on_packed = on_packed
        self._network = network
        self._request: ov.InferRequest = network.model.create_infer_request()
        self.cache = KeyValueCache(network.model, num_bytes=cache_bytes, min_tokens=min_tokens)
        self.cache.bind(self._request)
        self._has_token_types = any(port.get_any_name() == TYPES_INPUT for port in network.model.inputs)

    @property
    def hidden(self) -> NDArray[np.float32] | None:
        """What the last call's wanted tokens were before the head, from networks that tell.

        Float32 [pieces that want logits, hidden], overwritten by the next call.
        """
        if len(self._network.model.outputs) == 1:
            return None
        hidden_RD: NDArray[np.float32] = self._request.get_output_tensor(1).data
        return hidden_RD

    def run(self, pieces: Sequence[StepInput]) -> NDArray[np.float32]:
        """Compute the pieces in one call and return logits, float32 [pieces that want them, vocabulary].

        The array is overwritten by the next call. RuntimeError means that the runtime failed.
        """
        if len(pieces) == 1 and len(pieces[0].embeddings_TD) == 1:
            pieces = [pieces[0], self._companion(pieces[0])]
        lengths = [len(piece.embeddings_TD) for piece in pieces]
        begins = np.cumsum([0, *lengths])
        positions = [np.arange(piece.begin, piece.end, dtype=np.int64) for piece in pieces]
        tables = [list(piece.block_table) for piece in pieces]
        inputs = {
            "embeddings": np.concatenate([piece.embeddings_TD for piece in pieces]),
            "positions": np.concatenate(positions),
            "logit_rows": np.array(
                [end - 1 for end, piece in zip(begins[1:], pieces, strict=True) if piece.wants_logits],
                np.int64,
            ),
            "past_lens": np.array([piece.begin for piece in pieces], np.int32),
            "subsequence_begins": begins.astype(np.int32),
            "block_indices": np.concatenate([np.array(table, np.int32) for table in tables]),
            "block_indices_begins": np.cumsum([0, *map(len, tables)]).astype(np.int32),
            SCALAR_INPUT: np.array(max(piece.end for piece in pieces), np.int32),
        }
        if self._has_token_types:
            seen = [at < piece.prefix_tokens for at, piece in zip(positions, pieces, strict=True)]
            inputs[TYPES_INPUT] = np.concatenate(seen).astype(np.int32)
        for name, values in inputs.items():
            self._request.set_tensor(name, ov.Tensor(values, shared_memory=True))
        self._request.infer()
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None
        logits_RV: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return logits_RV

    def _companion(self, piece: StepInput) -> StepInput:
        """Make a sequence of one token that nobody reads.

        A token alone takes another path through the runtime's attention, which adds up in another order; with
        company its logits are the same to the last bit as in any batch. It costs about 8 % of a lone step.
        """
        return StepInput(piece.embeddings_TD, 0, (self.cache.num_blocks,), wants_logits=False)
