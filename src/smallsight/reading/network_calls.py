"""Calls the OCR networks, whatever computes them: the runtime, or the extension for their convolutions."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeAlias

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from smallsight.reading.detector_graph import pixels_of_blocks, with_less_work
from smallsight.reading.map_networks import MapProgram, UnknownLayerError

__all__ = [
    "FindText",
    "MapDetector",
    "Pixels",
    "ReadLine",
    "map_detector",
    "map_recogniser",
    "runtime_detector",
    "runtime_recogniser",
]

Pixels: TypeAlias = NDArray[np.uint8]
# From uint8 RGB [H, W, 3], sides multiples of 32, to the probability of text times 255, uint8 [H, W].
FindText: TypeAlias = Callable[[Pixels], Pixels]
# From uint8 RGB [48, W, 3] to logits and features of W / 8 steps; the arrays hold until the next call.
ReadLine: TypeAlias = Callable[[Pixels], tuple[NDArray[np.float32], NDArray[np.float32]]]


def runtime_detector(network: ov.CompiledModel) -> FindText:
    """Return a call of a network with blocks of 4 x 4 pixels, or [1, 1, H, W], as its output."""
    request = network.create_infer_request()

    def find(pixels_HWC: Pixels) -> Pixels:
        request.infer([pixels_HWC[None]], share_inputs=True)
        found_CHW = request.get_output_tensor(0).data[0]
        if found_CHW.dtype == np.uint8:
            return pixels_of_blocks(found_CHW)
        map_HW: Pixels = (found_CHW[0] * 255.0).astype(np.uint8)
        return map_HW

    return find


def runtime_recogniser(network: ov.CompiledModel) -> ReadLine:
    """Return a call of the recogniser."""
    request = network.create_infer_request()

    def read(pixels_HWC: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        request.infer([pixels_HWC[None]], share_inputs=True)
        return request.get_output_tensor(0).data[0], request.get_output_tensor(1).data[0]

    return read


class MapDetector:
    """A call of the detector in the extension."""

    def __init__(self, program: MapProgram, levels: int) -> None:
        self._program = program
        self._levels = levels

    def __call__(self, pixels_HWC: Pixels) -> Pixels:
        """Answer as ``FindText``; not thread-safe."""
        network = self._program.network
        network.run(np.ascontiguousarray(pixels_HWC))
        blocks_HWC = np.empty(network.size(self._levels), np.uint8)
        network.read_levels(self._levels, blocks_HWC)
        return pixels_of_blocks(blocks_HWC.transpose(2, 0, 1))

    def twin(self, threads: int) -> MapDetector:
        """Return a call with the same weights and answers, to use at the same time."""
        return MapDetector(self._program.twin(threads), self._levels)


def map_detector(network: ov.Model, threads: int, extension: ModuleType | None) -> MapDetector | None:
    """Return a call of the detector in the extension; None if that cannot compute it."""
    if extension is None:
        return None
    try:
        program = MapProgram(extension, threads)
        levels = program.map_of(with_less_work(network, parts_maps=False).output(0).get_node().input_value(0))
    except UnknownLayerError:
        return None
    program.network.keep(levels)
    return MapDetector(program, levels)


def map_recogniser(
    network: ov.Model,
    threads: int,
    extension: ModuleType | None,
    compiled: Callable[[ov.Model], ov.CompiledModel],
) -> list[ReadLine] | None:
    """Return a call of the recogniser for each thread, its convolutions in the extension.

    None if the extension cannot compute them. ``compiled`` compiles what follows them for the runtime.
    """
    pools = [node for node in network.get_ordered_ops() if node.get_type_name() == "AvgPool"]
    if extension is None or len(pools) != 1:
        return None
    try:
        program = MapProgram(extension, 1)
        features = program.map_of(pools[0].input_value(0))
    except UnknownLayerError:
        return None
    program.network.keep(features)
    channels = pools[0].input_value(0).get_partial_shape()[1].get_length()
    entering = op.parameter([1, -1, -1, channels], np.float32)
    pools[0].input(0).replace_source_output(op.transpose(entering, np.array([0, 3, 1, 2])).output(0))
    rest = compiled(ov.Model(network.get_results(), [entering]))
    programs = [program, *(program.twin(1) for _ in range(threads - 1))]
    return [_maps_and_rest(one, features, rest.create_infer_request()) for one in programs]


def _maps_and_rest(program: MapProgram, features: int, rest: ov.InferRequest) -> ReadLine:
    network = program.network

    def read(pixels_HWC: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        network.run(np.ascontiguousarray(pixels_HWC))
        maps_HWC = np.empty(network.size(features), np.float32)
        network.read(features, maps_HWC)
        rest.infer([maps_HWC[None]], share_inputs=True)
        return rest.get_output_tensor(0).data[0], rest.get_output_tensor(1).data[0]

    return read
