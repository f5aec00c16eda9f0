"""A function compiled by torch, called with tensors of few shapes, all of which are computed while loading.

On a GPU each shape becomes a CUDA graph as well, so that a call is launched once.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from smallsight.engine.torch.device import CUDA, Device
from smallsight.errors import ModelNotRunnableError
from smallsight.policy.log import get_logger
from smallsight.policy.progress import OnProgress

log = get_logger(__name__)

Shape = tuple[int, ...]  # what the caller names a set of shapes by
TensorFunction = Callable[..., tuple[Tensor, ...]]
_FACTOR = 4  # between sizes that follow each other
_SMALLEST_DYNAMIC = 2  # torch compiles 0 and 1 as constants


class CompiledCalls:
    """Compiled calls of one function. Used by one thread at a time."""

    def __init__(self, compute: TensorFunction, device: Device) -> None:
        """``compute`` is a function that nothing else calls."""
        # torch keeps what it compiled with the code that it read: each model has a copy, to be freed with it.
        compute.__code__ = compute.__code__.replace()
        self._compute: TensorFunction = torch.compile(compute)
        self._device = device
        self._graphs: dict[Shape, _CudaGraph] = {}
        self._held = _HeldInputs()
        # Graphs run one after the other: they share the memory for what a call computes in between.
        self._pool = torch.cuda.graph_pool_handle() if device.kind == CUDA else None

    def run(self, shape: Shape, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what the function computes; on a GPU valid until the next call."""
        graph = self._graphs.get(shape)
        return self._compute(*inputs) if graph is None else graph.replay(*inputs)

    @torch.inference_mode()
    def warm_up(
        self,
        inputs_of: Mapping[Shape, Callable[[], tuple[Tensor, ...]]],
        dynamic_axes: tuple[tuple[int, ...], ...],
        on_progress: OnProgress,
        unrecorded: Collection[Shape] = (),
    ) -> None:
        """Compute every shape once, which compiles; ``on_progress`` is called with the fraction done.

        ``dynamic_axes`` are the axes of each input that differ between shapes; where one has the size 1,
        that shape is compiled separately. Shapes in ``unrecorded`` become no CUDA graph. Raises
        ModelNotRunnableError where this machine cannot compile.
        """
        began_s = time.perf_counter()
        for number, (shape, make_inputs) in enumerate(inputs_of.items(), 1):
            inputs = make_inputs()
            for tensor, axes in zip(inputs, dynamic_axes, strict=True):
                for axis in axes:
                    if tensor.shape[axis] >= _SMALLEST_DYNAMIC:
                        torch._dynamo.mark_dynamic(tensor, axis)  # noqa: SLF001 - its only name
            try:
                self._compute(*inputs)
            except torch._dynamo.exc.TorchDynamoException as error:  # noqa: SLF001 - its only name
                reason = str(error).strip().splitlines()[0][:200]
                raise ModelNotRunnableError(
                    f"torch could not compile this model on {self._device.name}: {reason}",
                    hint="load it without compile; on a CPU, torch.compile needs a C++ compiler.",
                ) from error
            if self._device.kind == CUDA and shape not in unrecorded:
                self._record(shape, inputs)
            on_progress(number / len(inputs_of))
        seconds = round(time.perf_counter() - began_s, 1)
        log.info("torch_compiled", shapes=len(inputs_of), graphs=len(self._graphs), seconds=seconds)

    def _record(self, shape: Shape, inputs: tuple[Tensor, ...]) -> None:
        try:
            self._graphs[shape] = _CudaGraph(self._compute, self._held, inputs, self._pool)
        except RuntimeError as error:  # layers that wait for results, as those of LLM.int8 do
            log.warning("cuda_graph_not_recorded", shape=shape, why=str(error).splitlines()[0])


class _HeldInputs:
    """Tensors whose addresses graphs have recorded, one for each input and shape, shared by all graphs."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, torch.Size], Tensor] = {}
        self._last: dict[tuple[int, torch.Size], weakref.ref[Tensor]] = {}

    def fill(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the held tensors after copying the inputs there; one that is there already stays."""
        found = []
        for number, tensor in enumerate(inputs):
            key = number, tensor.shape
            if key not in self._held:
                self._held[key] = tensor.clone()
            elif self._last[key]() is not tensor:
                self._held[key].copy_(tensor)
            self._last[key] = weakref.ref(tensor)
            found.append(self._held[key])
        return tuple(found)


class _CudaGraph:
    """One recorded call: inputs are copied to where they were when it was recorded."""

    def __init__(
        self,
        compute: TensorFunction,
        held: _HeldInputs,
        inputs: tuple[Tensor, ...],
        pool: Any,  # noqa: ANN401 - torch names no type for it
    ) -> None:
        self._held = held
        self._graph = torch.cuda.CUDAGraph()
        inputs = held.fill(inputs)
        with torch.cuda.device(inputs[0].device):
            torch.cuda.synchronize()
            with torch.cuda.graph(self._graph, pool=pool):
                self._outputs = compute(*inputs)

    def replay(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what the call computes from these inputs; valid until the next replay."""
        self._held.fill(inputs)
        self._graph.replay()
        return self._outputs


def growing_sizes(first: int, last: int, factor: int = _FACTOR) -> tuple[int, ...]:
    """Return sizes from the first to the last, each a few times the one before."""
    found = [first]
    while found[-1] < last:
        found.append(min(found[-1] * factor, max(last, first)))
    return tuple(found)
