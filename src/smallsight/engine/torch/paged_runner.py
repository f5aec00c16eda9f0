"""Runs a decoder in torch over a KV cache of blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from smallsight.engine.decoding.runner import StepInput, StepOutput
from smallsight.engine.torch.device import Device
from smallsight.engine.torch.memory_guard import reporting_memory
from smallsight.engine.torch.paged_attention import PagedCache, PagedStep
from smallsight.policy.row_bands import RowBands

# From embeddings [1, tokens, hidden] and a step to the input of the head, [tokens, hidden].
Decoder = Callable[[Tensor, PagedStep], Tensor]


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
        joined = np.concatenate([step.embeddings_TD for step in steps])
        embeddings_TD = torch.from_numpy(joined).to(self._device.name, self._dtype)
        hidden_TD = self._decoder(embeddings_TD[None], PagedStep.plan(steps, self._cache))
        ends = np.cumsum([len(step.embeddings_TD) for step in steps])
        wanted = [end - 1 for end, step in zip(ends, steps, strict=True) if step.wants_logits]
        if not wanted:
            return StepOutput(np.empty((0, self._vocabulary), np.float32))
        rows = torch.tensor(wanted + wanted[-1:] * extra_logit_rows, device=hidden_TD.device)
        hidden_RD = hidden_TD[rows]
        logits_RV = self._head(hidden_RD).float().cpu().numpy()
        return StepOutput(logits_RV, hidden_RD.float().cpu().numpy() if self._returns_hidden else None)
