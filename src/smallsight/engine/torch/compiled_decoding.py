"""Decodes with a compiled network: a token of each sequence, in calls of few shapes, over the same KV cache.

``torch.compile`` needs shapes that repeat. The KV cache never moves; a call has as many rows as the next of a
few numbers, and block tables as long as the next of a few lengths. Rows that are too many belong to the
scratch block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor

from smallsight.engine.decoding.runner import StepInput
from smallsight.engine.torch.compiled_calls import CompiledCalls, Shape, growing_sizes
from smallsight.engine.torch.device import CUDA, Device
from smallsight.engine.torch.paged_attention import PagedCache, PagedStep
from smallsight.policy.progress import OnProgress

Decoder = Callable[[Tensor, PagedStep], Tensor]  # from embeddings [1, tokens, hidden] to the head's input
_FEWEST_ROWS, _SHORTEST_TABLE = 2, 4  # one row would be compiled a second time


class CompiledDecoding:
    """Compiled calls of a decoder and its head. Used by one thread at a time."""

    def __init__(
        self,
        decoder: Decoder,
        head: Callable[[Tensor], Tensor],
        cache: PagedCache,
        *,
        device: Device,
        dtype: torch.dtype,
        hidden: int,
        most_rows: int,
        longest_table: int,
    ) -> None:
        """``hidden`` is the width of embeddings; longer tables and more rows than the most do not fit."""
        self._cache, self._device = cache, device
        self._input = hidden, dtype
        self._rows = growing_sizes(_FEWEST_ROWS, most_rows)
        # A graph is recorded quickly, and what a table is too long costs time in every step.
        self._tables = growing_sizes(_SHORTEST_TABLE, longest_table, 2 if device.kind == CUDA else 4)

        def compute(embeddings_ND: Tensor, positions_N: Tensor, blocks_NB: Tensor) -> tuple[Tensor, Tensor]:
            step = PagedStep.of_lone_tokens(cache, positions_N, blocks_NB)
            hidden_ND = decoder(embeddings_ND[None], step)
            return hidden_ND, head(hidden_ND)

        self._calls = CompiledCalls(compute, device)

    def fits(self, steps: Sequence[StepInput]) -> bool:
        """Return whether these pieces are single tokens, and few and short enough."""
        return len(steps) <= self._rows[-1] and all(
            len(step.embeddings_TD) == 1 and len(step.block_table) <= self._tables[-1] for step in steps
        )

    def run(self, steps: Sequence[StepInput]) -> tuple[Tensor, Tensor]:
        """Return the head's inputs and logits of pieces that fit, a row for each."""
        num_rows = next(one for one in self._rows if one >= len(steps))
        longest = max(len(step.block_table) for step in steps)
        length = next(one for one in self._tables if one >= longest)
        embeddings_ND = np.repeat(steps[0].embeddings_TD, num_rows, axis=0)
        positions_N = np.zeros(num_rows, np.int64)
        blocks_NB = np.full((num_rows, length), self._cache.num_blocks, np.int64)
        for row, step in enumerate(steps):
            embeddings_ND[row] = step.embeddings_TD[0]
            positions_N[row] = step.begin
            blocks_NB[row, : len(step.block_table)] = step.block_table
        inputs = self._moved(embeddings_ND, positions_N, blocks_NB)
        hidden_ND, logits_NV = self._calls.run((num_rows, length), *inputs)
        return hidden_ND[: len(steps)], logits_NV[: len(steps)]

    def warm_up(self, on_progress: OnProgress) -> None:
        """Compile all shapes; ``on_progress`` is called with the fraction done.

        Raises ModelNotRunnableError where this machine cannot compile.
        """
        shapes: list[Shape] = list(product(self._rows, self._tables))
        inputs_of = {shape: partial(self._empty, *shape) for shape in shapes}
        self._calls.warm_up(inputs_of, ((0,), (0,), (0, 1)), on_progress)

    def _empty(self, num_rows: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return inputs of a shape that read and write the scratch block only."""
        return self._moved(
            np.zeros((num_rows, self._input[0]), np.float32),
            np.zeros(num_rows, np.int64),
            np.full((num_rows, length), self._cache.num_blocks, np.int64),
        )

    def _moved(self, *arrays: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        embeddings_ND, positions_N, blocks_NB = (
            torch.from_numpy(one).to(self._device.name) for one in arrays
        )
        return embeddings_ND.to(self._input[1]), positions_N, blocks_NB
