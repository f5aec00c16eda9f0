"""Runs a compiled paged decoder: embedded tokens and their blocks in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.openvino.kv_cache import KeyValueCache
from smallsight.errors import OutOfResourcesError
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
        """Compute the pieces in one call; the next call overwrites the results.

        Raises OutOfResourcesError where rows are missing: without room to allocate them, ``infer`` returns as
        usual and the output keeps the shape of the call before (openvino 2026.4.1 under RLIMIT_AS).
        """
        inputs = self._inputs(steps, extra_logit_rows)  # kept, because the request uses their memory
        for name, values in inputs.items():
            self._request.set_tensor(name, ov.Tensor(values, shared_memory=True))
        self._request.infer()
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None
        logits_RV: NDArray[np.float32] = self._request.get_output_tensor(0).data
        if len(logits_RV) != len(inputs["logit_rows"]):
            raise OutOfResourcesError(
                "Memory ran out while computing an answer.",
                hint="close other programs, or load a smaller model.",
            )
        hidden_RD = self._request.get_output_tensor(1).data if self._has_hidden else None
        return StepOutput(logits_RV, hidden_RD)

    def _inputs(self, steps: Sequence[StepInput], extra_logit_rows: int) -> dict[str, NDArray[Any]]:
        embeddings, positions, past, blocks, wanted = [], [], [], list[int](), list[int]()
        begins, block_begins, longest = [0], [0], 0
        for step in steps:
            length = len(step.embeddings_TD)
            end = step.begin + length
            embeddings.append(step.embeddings_TD)
            positions.append(np.arange(step.begin, end, dtype=np.int64))
            past.append(step.begin)
            blocks.extend(step.block_table)
            begins.append(begins[-1] + length)
            block_begins.append(len(blocks))
            longest = max(longest, end)
            if step.wants_logits:
                wanted.append(begins[-1] - 1)
        inputs: dict[str, NDArray[Any]] = {
            "embeddings": np.concatenate(embeddings),
            "positions": np.concatenate(positions),
            "logit_rows": np.array(wanted + wanted[-1:] * extra_logit_rows, np.int64),
            "past_lens": np.array(past, np.int32),
            "subsequence_begins": np.array(begins, np.int32),
            "block_indices": np.array(blocks, np.int32),
            "block_indices_begins": np.array(block_begins, np.int32),
            SCALAR_INPUT: np.array(longest, np.int32),
        }
        if self._has_token_types:
            seen = [at < step.prefix_tokens for at, step in zip(positions, steps, strict=True)]
            inputs[TYPES_INPUT] = np.concatenate(seen).astype(np.int32)
        return inputs
