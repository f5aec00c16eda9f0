"""Loads the PP-OCR networks that the ``rapidocr`` package carries, without importing that package.

Both take uint8 pixels and normalise them inside the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from smallsight.errors import MissingExtraError
from smallsight.graph.compiled import compile_network, computes_in_bf16, runtime

__all__ = ["BLANK", "OcrNetworks", "load_ocr_networks"]

BLANK = 0  # the class of CTC's "no character here"
_PACKAGE = "rapidocr"
_DETECTOR = "PP-OCRv6_det_small.onnx"
_RECOGNISER = "PP-OCRv6_rec_small.onnx"
_GREY = 127.5  # pixels are mapped to -1 ... 1
_KEPT_SHAPES = 64  # entries of the runtime's cache of kernels prepared for input shapes


@dataclass(frozen=True, eq=False)
class OcrNetworks:
    """The compiled networks; ``characters`` belong to the recogniser's classes, the first one is no character.

    The detector maps uint8 RGB [1, H, W, 3], sides multiples of 32, to probabilities [1, 1, H, W]. The
    recogniser maps [1, 48, W, 3] to the probabilities of the classes in each of W / 8 steps.
    """

    detector: ov.CompiledModel
    recogniser: ov.CompiledModel
    characters: tuple[str, ...]


def load_ocr_networks(threads: int) -> OcrNetworks:
    """Read and compile both networks; 0 threads means one per physical core.

    The detector uses all threads for one picture, the recogniser one thread for each line.
    """
    folder = _weights_folder()
    precision = "bf16" if computes_in_bf16() else "f32"
    tuning = {"INFERENCE_PRECISION_HINT": precision, "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_SHAPES}
    core = runtime()
    characters = _characters(core.read_model(folder / _RECOGNISER))
    detector = compile_network(
        lambda: _for_pixels(core.read_model(folder / _DETECTOR)), threads=threads, tuning=tuning
    )
    recogniser = compile_network(
        lambda: _for_pixels(core.read_model(folder / _RECOGNISER)),
        threads=threads,
        tuning=tuning | {"NUM_STREAMS": threads or "AUTO", "PERFORMANCE_HINT": "THROUGHPUT"},
    )
    return OcrNetworks(detector.model, recogniser.model, characters)


def _weights_folder() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            "Reading text in pictures needs an optional package.", hint="pip install 'smallsight[ocr]'."
        )
    return Path(spec.submodule_search_locations[0]) / "models"


def _characters(recogniser: ov.Model) -> tuple[str, ...]:
    """Return the character of each class: nothing, those listed in the file, and a space."""
    listed = recogniser.get_rt_info(["framework", "character"]).value
    return ("", *listed.split("\n")[: recogniser.output(0).partial_shape[2].get_length() - 2], " ")


def _for_pixels(network: ov.Model) -> ov.Model:
    """Return the network with uint8 RGB pixels [N, H, W, 3] as its input; it was trained on BGR."""
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().tensor().set_color_format(ColorFormat.RGB)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_color(ColorFormat.BGR).convert_element_type(ov.Type.f32)
    steps.input().preprocess().mean(_GREY).scale(_GREY)
    return steps.build()
