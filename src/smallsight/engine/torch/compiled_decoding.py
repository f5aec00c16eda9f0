"""Decodes with a compiled network: a token of each sequence, in calls of few shapes, over the same KV cache.

``torch.compile`` needs shapes that repeat. The KV cache never moves; a call has as many rows as the next of a
few numbers, and block tables as long as the next of a few lengths. Rows that are too many belong to the
scratch block. On a GPU each shape becomes a CUDA graph as well, so that a step is launched once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor

from smallsight.engine.decoding.runner import StepInput
from smallsight.engine.torch.device import CUDA, Device
from smallsight.engine.torch.paged_attention import PagedCache, PagedStep
from smallsight.errors import ModelNotRunnableError
from smallsight.policy.log import get_logger
from smallsight.policy.progress import OnProgress

log = get_logger(__name__)

Decoder = Callable[[Tensor, PagedStep], Tensor]  # from embeddings [1, tokens, hidden] to the head's input
_FEWEST_ROWS, _SHORTEST_TABLE = 2, 4  # one row would be compiled a second time
_FACTOR = 4  # between the numbers of rows, and the lengths of block tables


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
        self._rows = _steps(_FEWEST_ROWS, most_rows)
        self._tables = _steps(_SHORTEST_TABLE, longest_table)
        self._graphs: dict[tuple[int, int], _CudaGraph] = {}

        def compute(embeddings_ND: Tensor, positions_N: Tensor, blocks_NB: Tensor) -> tuple[Tensor, Tensor]:
            step = PagedStep.of_lone_tokens(cache, positions_N, blocks_NB)
            hidden_ND = decoder(embeddings_ND[None], step)
            return hidden_ND, head(hidden_ND)

        # torch keeps what it compiled with the code that it read: each model has a copy, to be freed with it.
        compute.__code__ = compute.__code__.replace()
        self._compute = torch.compile(compute)

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
        graph = self._graphs.get((num_rows, length))
        hidden_ND, logits_NV = self._compute(*inputs) if graph is None else graph.replay(*inputs)
        return hidden_ND[: len(steps)], logits_NV[: len(steps)]

    @torch.inference_mode()
    def warm_up(self, on_progress: OnProgress) -> None:
        """Compute every shape once, which compiles; ``on_progress`` is called with the fraction done.

        Raises ModelNotRunnableError where this machine cannot compile.
        """
        began_s = time.perf_counter()
        shapes = list(product(self._rows, self._tables))
        for number, shape in enumerate(shapes, 1):
            try:
                self._prepare(*shape)
            except torch._dynamo.exc.TorchDynamoException as error:  # noqa: SLF001 - its only name
                reason = str(error).strip().splitlines()[0][:200]
                raise ModelNotRunnableError(
                    f"torch could not compile this model on {self._device.name}: {reason}",
                    hint="load it without compile; on a CPU, torch.compile needs a C++ compiler.",
                ) from error
            on_progress(number / len(shapes))
        seconds = round(time.perf_counter() - began_s, 1)
        log.info("torch_compiled", shapes=len(shapes), graphs=len(self._graphs), seconds=seconds)

    def _prepare(self, num_rows: int, length: int) -> None:
        """Compile a shape; on a GPU, record it."""
        hidden, _ = self._input
        inputs = self._moved(
            np.zeros((num_rows, hidden), np.float32),
            np.zeros(num_rows, np.int64),
            np.full((num_rows, length), self._cache.num_blocks, np.int64),
        )
        for tensor, axes in zip(inputs, ((0,), (0,), (0, 1)), strict=True):
            torch._dynamo.mark_dynamic(tensor, axes)  # noqa: SLF001 - one compilation for all shapes
        self._compute(*inputs)
        if self._device.kind != CUDA:
            return
        try:
            self._graphs[num_rows, length] = _CudaGraph(self._compute, inputs)
        except RuntimeError as error:  # layers that wait for results, as those of LLM.int8 do
            log.warning("cuda_graph_not_recorded", shape=(num_rows, length), why=str(error).splitlines()[0])

    def _moved(self, *arrays: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        embeddings_ND, positions_N, blocks_NB = (
            torch.from_numpy(one).to(self._device.name) for one in arrays
        )
        return embeddings_ND.to(self._input[1]), positions_N, blocks_NB


class _CudaGraph:
    """One recorded call: inputs are copied to where they were when it was recorded."""

    def __init__(
        self,
        compute: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        inputs: tuple[Tensor, Tensor, Tensor],
    ) -> None:
        self._inputs = inputs
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(inputs[0].device):
            torch.cuda.synchronize()
            with torch.cuda.graph(self._graph):
                self._outputs = compute(*inputs)

    def replay(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the call computes from these inputs; valid until the next replay."""
        for held, new in zip(self._inputs, inputs, strict=True):
            held.copy_(new)
        self._graph.replay()
        return self._outputs


def _steps(first: int, last: int) -> tuple[int, ...]:
    """Return numbers from the first to the last, each a few times the one before."""
    found = [first]
    while found[-1] < last:
        found.append(min(found[-1] * _FACTOR, max(last, first)))
    return tuple(found)
