"""Loads the PP-OCR networks that the ``rapidocr`` package carries, without importing that package.

Both take uint8 pixels and normalise them inside the network. The recogniser computes in int8 where that is
faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import ColorFormat, PrePostProcessor

from smallsight.errors import MissingExtraError
from smallsight.graph.compiled import activation_group, compile_network, computes_in_bf16, runtime
from smallsight.machine.cores import usable_cores
from smallsight.machine.processor import usable_instruction_sets
from smallsight.reading.class_layers import PartedClasses, part_classes
from smallsight.reading.detector_graph import with_less_work
from smallsight.reading.int8_layers import ranges_for, round_layers
from smallsight.reading.map_networks import find_map_networks
from smallsight.reading.network_calls import (
    FindText,
    ReadLine,
    map_detector,
    map_recogniser,
    runtime_detector,
    runtime_recogniser,
)

__all__ = [
    "BLANK",
    "DETECTOR",
    "RECOGNISER",
    "OcrNetworks",
    "for_pixels",
    "load_ocr_networks",
    "read_network",
    "weights_folder",
]

BLANK = 0  # the class of CTC's "no character here"
RECOGNISER = "PP-OCRv6_rec_small.onnx"
DETECTOR = "PP-OCRv6_det_small.onnx"
_PACKAGE = "rapidocr"
_GREY = 127.5  # pixels are mapped to -1 ... 1
# Kernels prepared for the shapes of inputs; a shape needs up to a hundred, or each input prepares all again.
_KEPT_FOR_LINES = 5_000  # of eight widths, of which each takes 7 MB in bf16 and 14 in int8 with AMX
_KEPT_FOR_PICTURES = 700  # of the 16 shapes that were met last, of which each takes 6.5 MB and 50 ms with AMX


@dataclass(frozen=True, eq=False)
class OcrNetworks:
    """The networks; ``characters`` belong to the recogniser's classes, the first one is no character.

    ``find_text`` uses all ``threads``; ``find_text_with`` makes a call for a number of threads, which may be
    used beside others, None where the runtime computes. Each of ``read_line`` returns logits of the classes
    ``few_F`` and features, and may be called while another one is; ``every_class`` maps features to the
    probabilities of all classes, if those are not all.
    """

    threads: int
    find_text: FindText
    find_text_with: Callable[[int], FindText] | None
    read_line: Sequence[ReadLine]
    every_class: ov.CompiledModel | None
    few_F: NDArray[np.int64]
    num_common: int
    characters: tuple[str, ...]


def load_ocr_networks(threads: int, *, may_use_extension: bool = True) -> OcrNetworks:
    """Read and compile both networks; 0 threads means one per physical core.

    The runtime uses all threads for one input, because it keeps 15 MB for each width and thread that it
    prepares. The extension keeps nothing, and computes a line on each thread.
    """
    threads = threads or usable_cores()
    precision = "bf16" if computes_in_bf16() else "f32"
    tuning: dict[str, str | int] = {
        "INFERENCE_PRECISION_HINT": precision,
        "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_FOR_PICTURES,
    }
    for_lines = tuning | {"CPU_RUNTIME_CACHE_CAPACITY": _KEPT_FOR_LINES}
    whole = read_network(RECOGNISER)
    characters = _characters(whole)
    classes = part_classes(whole, characters)
    if not _multiplies_bf16_in_tiles() and _round(classes):
        for_lines["INFERENCE_PRECISION_HINT"] = "f32"  # between layers in int8, bf16 is slower

    def compiled(build: Callable[[], ov.Model], options: Mapping[str, str | int]) -> ov.CompiledModel:
        return compile_network(build, threads=threads, tuning=options).model

    every = classes.every
    extension = find_map_networks() if may_use_extension else None
    maps = map_detector(read_network(DETECTOR), threads, extension)
    find_text = maps or runtime_detector(
        compiled(lambda: for_pixels(with_less_work(read_network(DETECTOR))), tuning)
    )
    read_line = map_recogniser(
        classes.few,
        threads,
        extension,
        lambda rest: compiled(lambda: rest, for_lines | {"NUM_STREAMS": threads}),
    ) or [runtime_recogniser(compiled(lambda: for_pixels(classes.few), for_lines))]
    return OcrNetworks(
        threads,
        find_text,
        None if maps is None else maps.twin,
        read_line,
        None if every is None else compiled(lambda: every, for_lines),
        classes.few_F,
        classes.num_common,
        characters,
    )


def _multiplies_bf16_in_tiles() -> bool:
    """Return whether bf16 with AMX computes lines: as fast as int8, with half the memory for each width."""
    return computes_in_bf16() and "amx_bf16" in usable_instruction_sets()


def _round(classes: PartedClasses) -> bool:
    """Let the recogniser compute in int8, where that is faster and its ranges are known; return whether."""
    has_dot_products = bool(activation_group(1))
    if not has_dot_products and "avx2" not in usable_instruction_sets():
        return False
    if (ranges := ranges_for(weights_folder() / RECOGNISER)) is None:
        return False
    for network in (classes.few, classes.every):
        if network is not None:
            round_layers(network, ranges, has_dot_products=has_dot_products)
    return True


def read_network(name: str) -> ov.Model:
    """Return one of the networks as the package's file has it."""
    return runtime().read_model(weights_folder() / name)


def weights_folder() -> Path:
    """Return where the package's networks are; raises MissingExtraError if it is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "Reading text in pictures needs an optional package.", hint="pip install 'smallsight[ocr]'."
        )
    return Path(spec.submodule_search_locations[0]) / "models"


def for_pixels(network: ov.Model) -> ov.Model:
    """Return the network with uint8 RGB pixels [N, H, W, 3] as its input; it was trained on BGR."""
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().tensor().set_color_format(ColorFormat.RGB)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_color(ColorFormat.BGR).convert_element_type(ov.Type.f32)
    steps.input().preprocess().mean(_GREY).scale(_GREY)
    return steps.build()


def _characters(recogniser: ov.Model) -> tuple[str, ...]:
    """Return the character of each class: nothing, those listed in the file, and a space."""
    listed = recogniser.get_rt_info(["framework", "character"]).value
    return ("", *listed.split("\n")[: recogniser.output(0).partial_shape[2].get_length() - 2], " ")
