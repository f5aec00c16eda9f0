"""Runs a decoder in torch over a KV cache of blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.torch.compiled_decoding import CompiledDecoding, Decoder
from smallsight.engine.torch.device import Device
from smallsight.engine.torch.memory_guard import reporting_memory
from smallsight.engine.torch.paged_attention import PagedCache, PagedStep
from smallsight.policy.progress import OnProgress
from smallsight.policy.row_bands import RowBands


class TorchRunner:
    """Implements ``decoding.runner.Runner``. Used by one thread at a time."""

    row_bands = RowBands()

    def __init__(
        self,
        decoder: Decoder,
        head: Callable[[Tensor], Tensor],
        cache: PagedCache,
        *,
        device: Device,
        dtype: torch.dtype,
        vocabulary: int,
        returns_hidden: bool = False,
    ) -> None:
        """With ``returns_hidden`` outputs have the head's inputs too."""
        self.num_blocks = cache.num_blocks
        self._decoder = decoder
        self._head = head
        self._cache = cache
        self._device = device
        self._dtype = dtype
        self._vocabulary = vocabulary
        self._returns_hidden = returns_hidden
        self._compiled: CompiledDecoding | None = None

    def compile(self, *, hidden: int, most_rows: int, context_tokens: int, on_progress: OnProgress) -> None:
        """Compile decoding for up to ``most_rows`` sequences, before the first ``run``.

        ``hidden`` is the width of embeddings. Raises ModelNotRunnableError and OutOfResourcesError.
        """
        compiled = CompiledDecoding(
            self._decoder,
            self._head,
            self._cache,
            device=self._device,
            dtype=self._dtype,
            hidden=hidden,
            most_rows=most_rows,
            longest_table=-(-context_tokens // self._cache.block_tokens),
        )
        with reporting_memory(self._device, "compiling"):
            compiled.warm_up(on_progress)
        self._compiled = compiled

    @torch.inference_mode()
    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        self._cache.copy_block(source, target)

    @torch.inference_mode()
    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:
        """Compute the pieces in one call; raises OutOfResourcesError."""
        with reporting_memory(self._device, "computing an answer"):
            return self._run(steps, extra_logit_rows)

    def _run(self, steps: Sequence[StepInput], extra_logit_rows: int) -> StepOutput:
        if self._compiled is not None and self._compiled.fits(steps):
            return self._decode(self._compiled, steps, extra_logit_rows)
        joined = np.concatenate([step.embeddings_TD for step in steps])
        embeddings_TD = torch.from_numpy(joined).to(self._device.name, self._dtype)
        hidden_TD = self._decoder(embeddings_TD[None], PagedStep.plan(steps, self._cache))
        ends = np.cumsum([len(step.embeddings_TD) for step in steps])
        wanted = [end - 1 for end, step in zip(ends, steps, strict=True) if step.wants_logits]
        if not wanted:
            return StepOutput(np.empty((0, self._vocabulary), np.float32))
        rows = torch.tensor(wanted + wanted[-1:] * extra_logit_rows, device=hidden_TD.device)
        hidden_RD = hidden_TD[rows]
        return self._output(self._head(hidden_RD), hidden_RD)

    def _decode(
        self, compiled: CompiledDecoding, steps: Sequence[StepInput], extra_logit_rows: int
    ) -> StepOutput:
        """Run a compiled call; every row has logits, so that those that nobody wants are dropped."""
        wanted = [row for row, step in enumerate(steps) if step.wants_logits]
        hidden_ND, logits_NV = compiled.run(steps)
        rows = torch.tensor(
            wanted + wanted[-1:] * extra_logit_rows, dtype=torch.long, device=hidden_ND.device
        )
        return self._output(logits_NV[rows], hidden_ND[rows])

    def _output(self, logits_RV: Tensor, hidden_RD: Tensor) -> StepOutput:
        hidden = hidden_RD.float().cpu().numpy() if self._returns_hidden else None
        return StepOutput(logits_RV.float().cpu().numpy(), hidden)
