"""Measures whether the extension or OpenVINO computes a network faster on this machine, once per machine.

Both compute a few layers of the model's weights, in turns. A few layers say which one is faster as well as
all of them, in a fraction of the time and memory.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.decoding.runner import Runner, StepInput
from smallsight.engine.native.native_cache import NativeCache, blocks_for
from smallsight.engine.native.native_runner import NativeRunner, bind_decoder
from smallsight.engine.native.tile_encoder import bind_encoder
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.weight_store import StoredWeights, tuning
from smallsight.families.siglip_tower import SigLIPTower
from smallsight.families.step_decoder import StepDecoder
from smallsight.graph.known_speeds import SpeedComparison, read_speeds, speeds_key, write_speeds
from smallsight.machine.cores import usable_cores
from smallsight.machine.extension import find_extension
from smallsight.policy.log import get_logger
from smallsight.policy.row_bands import RowBands
from smallsight.quant.forms import Stored, first_rows, form_of

log = get_logger(__name__)

Compute = Callable[[], object]
_LAYERS, _OUTPUTS = 4, 2048
_PROMPT, _CACHE_BYTES = 256, 1 << 20  # the cache has at least the prompt and the token after it
_ROUNDS = 7

_TURN = threading.Lock()
_MEASURED: dict[tuple[str, str], SpeedComparison] = {}  # in this process, even where nothing can be written


class ShortText(Protocol):
    """A model whose decoder can be computed with fewer layers."""

    def shortened(self, layers: int, outputs: int) -> ShortText:
        """Return the same model with its first layers and outputs only."""
        ...

    def text_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the paged decoder."""
        ...

    def step_decoder(self, stored: Mapping[str, Stored]) -> StepDecoder | None:
        """Return what an engine without graphs needs to decode."""
        ...


class ShortTower(Protocol):
    """A model whose vision tower can be computed with fewer layers."""

    def shortened(self, layers: int, outputs: int) -> ShortTower:
        """Return the same model with its first layers and outputs only."""
        ...

    def vision_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from patches to image tokens."""
        ...

    def siglip_tower(self, stored: Mapping[str, Stored]) -> SigLIPTower | None:
        """Return what an engine without graphs needs to encode tiles."""
        ...


def text_comparison(model: ShortText, weights: StoredWeights) -> Callable[[], SpeedComparison | None]:
    """Return a function that compares the next token's times; None from it if nobody asked to measure."""

    def compare() -> SpeedComparison | None:
        whole = model.step_decoder(weights.stored)
        if whole is None or not weights.request.options.measures_kernels:
            return None
        sizes = whole.sizes
        form = form_of(whole.layer(0).matrices[0])
        name = f"text {sizes.kind} {sizes.hidden}x{sizes.ffn} {'' if form is None else form.name}"
        short = model.shortened(min(_LAYERS, sizes.layers), min(_OUTPUTS, sizes.vocabulary))
        few = replace(weights, stored=_with_short_head(weights.stored))
        return _compared(
            name.strip(),
            weights,
            lambda: _step_of(_extension_runner(short, few), sizes.hidden),
            lambda: _step_of(_openvino_runner(short, few), sizes.hidden),
        )

    return compare


def tower_comparison(model: ShortTower, weights: StoredWeights) -> Callable[[], SpeedComparison | None]:
    """Return a function that compares a tile's times; None from it if nobody asked to measure."""

    def compare() -> SpeedComparison | None:
        whole = model.siglip_tower(weights.stored)
        if whole is None or not weights.request.options.measures_kernels:
            return None
        sizes = whole.sizes
        form = form_of(whole.layer(0, "attention.weight"))
        name = f"tiles {sizes.hidden}x{sizes.ffn} {'' if form is None else form.name}"
        short = model.shortened(min(_LAYERS, sizes.layers), _OUTPUTS)
        values = np.random.default_rng(0).standard_normal((sizes.patches, sizes.patch_width), np.float32)
        return _compared(
            name.strip(),
            weights,
            lambda: _extension_tower(short, weights, values),
            lambda: _openvino_tower(short, weights, values),
        )

    return compare


def _compared(
    name: str, weights: StoredWeights, extension: Callable[[], Compute], runtime: Callable[[], Compute]
) -> SpeedComparison:
    """Return what is known of a network, or measure it. Each callable prepares one side."""
    request = weights.request
    key = speeds_key(_extension_build(), request.threads, tuning(request.scheme))
    prepared_dir = request.prepared_dir
    with _TURN:
        known = {} if prepared_dir is None else read_speeds(prepared_dir, key)
        found = known.get(name) or _MEASURED.get((key, name))
        if found is None:
            found = measured_in_turns(extension(), runtime())
            log.info(
                "code_measured",
                network=name,
                extension_ms=round(1e3 * found.extension_s, 2),
                openvino_ms=round(1e3 * found.openvino_s, 2),
            )
            _MEASURED[key, name] = found
        if prepared_dir is not None and name not in known:
            write_speeds(prepared_dir, key, known | {name: found})
    return found


def measured_in_turns(extension: Compute, runtime: Compute) -> SpeedComparison:
    """Let both compute in turns, after one call each that packs weights; the best of each counts."""
    times: tuple[list[float], list[float]] = [], []
    for number in range(1 + _ROUNDS):
        for compute, taken in zip((extension, runtime), times, strict=True):
            started_s = time.perf_counter()
            compute()
            if number:
                taken.append(time.perf_counter() - started_s)
    return SpeedComparison(min(times[0]), min(times[1]))


def _extension_build() -> str:
    """Return what tells two builds of the extension apart."""
    module = find_extension().module
    place = None if module is None else module.__file__
    return "" if place is None else f"{zlib.crc32(Path(place).read_bytes()):08x}"


def _with_short_head(stored: Mapping[str, Stored]) -> Mapping[str, Stored]:
    return {
        name: first_rows(one, _OUTPUTS) if name.startswith("head.") else one for name, one in stored.items()
    }


def _extension_runner(model: ShortText, weights: StoredWeights) -> Runner:
    decoder = model.step_decoder(weights.stored)
    if decoder is None:
        raise TypeError("the model has no step decoder")
    cache = NativeCache(decoder.sizes, num_bytes=_CACHE_BYTES)
    bound = bind_decoder(decoder, cache.layers(), weights.request.threads or usable_cores())
    return NativeRunner(bound, cache, decoder)


def _openvino_runner(model: ShortText, weights: StoredWeights) -> Runner:
    network = weights.compile(model.text_graph)
    return PagedRunner(network, cache_bytes=_CACHE_BYTES, min_tokens=2 * _PROMPT, row_bands=RowBands())


def _step_of(runner: Runner, hidden: int) -> Compute:
    """Compute a prompt; return the step after it, which can be repeated."""
    table = range(blocks_for(_PROMPT + 1))
    prompt_TD = np.random.default_rng(0).standard_normal((_PROMPT, hidden), np.float32)
    runner.run([StepInput(prompt_TD, 0, table, wants_logits=True)])
    step = StepInput(prompt_TD[:1].copy(), _PROMPT, table, wants_logits=True)
    return lambda: runner.run([step])


def _extension_tower(model: ShortTower, weights: StoredWeights, values_PI: NDArray[np.float32]) -> Compute:
    tower = model.siglip_tower(weights.stored)
    if tower is None:
        raise TypeError("the model has no tower")
    encoder = bind_encoder(tower, weights.request.threads or usable_cores())
    features_TD = np.empty(encoder.output_shape, np.float32)
    return lambda: encoder.run(values_PI, features_TD)


def _openvino_tower(model: ShortTower, weights: StoredWeights, values_PI: NDArray[np.float32]) -> Compute:
    request = weights.compile(model.vision_graph).model.create_infer_request()
    return lambda: request.infer([values_PI[None]])
