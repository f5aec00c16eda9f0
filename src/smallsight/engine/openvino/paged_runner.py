"""Runs a compiled paged decoder: embedded tokens and their blocks in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.openvino.kv_cache import KeyValueCache
from smallsight.graph.compiled import CompiledNetwork
from smallsight.policy.row_bands import RowBands

SCALAR_INPUT, TYPES_INPUT = "max_context_len", "token_types"


class PagedRunner:
    """An inference request for a compiled decoder, with its KV cache. Used by one thread at a time."""

    def __init__(
        self,
        network: CompiledNetwork,
        *,
        cache_bytes: int,
        min_tokens: int,
        row_bands: RowBands,
        on_packed: Callable[[], None] | None = None,
    ) -> None:
        """``on_packed`` is called after the first step, when the runtime has copied the weights."""
        self.row_bands = row_bands
        self._on_packed = on_packed
        self._network = network
        self._request: ov.InferRequest = network.model.create_infer_request()
        self.cache = KeyValueCache(network.model, num_bytes=cache_bytes, min_tokens=min_tokens)
        self.cache.bind(self._request)
        self.num_blocks: int = self.cache.num_blocks
        self._has_token_types = any(port.get_any_name() == TYPES_INPUT for port in network.model.inputs)
        self._has_hidden = len(network.model.outputs) > 1

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        self.cache.copy_block(source, target)

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:
        """Compute the pieces in one call; the next call overwrites the results."""
        lengths = [len(step.embeddings_TD) for step in steps]
        begins = np.cumsum([0, *lengths])
        ends = [step.begin + length for step, length in zip(steps, lengths, strict=True)]
        positions = [
            np.arange(step.begin, end, dtype=np.int64) for step, end in zip(steps, ends, strict=True)
        ]
        tables = [list(step.block_table) for step in steps]
        wanted = [end - 1 for end, step in zip(begins[1:], steps, strict=True) if step.wants_logits]
        inputs = {
            "embeddings": np.concatenate([step.embeddings_TD for step in steps]),
            "positions": np.concatenate(positions),
            "logit_rows": np.array(wanted + wanted[-1:] * extra_logit_rows, np.int64),
            "past_lens": np.array([step.begin for step in steps], np.int32),
            "subsequence_begins": begins.astype(np.int32),
            "block_indices": np.concatenate([np.array(table, np.int32) for table in tables]),
            "block_indices_begins": np.cumsum([0, *map(len, tables)]).astype(np.int32),
            SCALAR_INPUT: np.array(max(ends), np.int32),
        }
        if self._has_token_types:
            seen = [at < step.prefix_tokens for at, step in zip(positions, steps, strict=True)]
            inputs[TYPES_INPUT] = np.concatenate(seen).astype(np.int32)
        for name, values in inputs.items():
            self._request.set_tensor(name, ov.Tensor(values, shared_memory=True))
        self._request.infer()
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None
        logits_RV: NDArray[np.float32] = self._request.get_output_tensor(0).data
        hidden_RD = self._request.get_output_tensor(1).data if self._has_hidden else None
        return StepOutput(logits_RV, hidden_RD)
