"""Compiling a network for the CPU: the one runtime of this process and its options."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import openvino as ov
from numpy.typing import NDArray

_KEPT_PRIMITIVES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
NO_TUNING: Mapping[str, str | int] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A network ready to run on the CPU; ``bytes_on_disk`` must live as long as it does."""

    model: ov.CompiledModel
    bytes_on_disk: NDArray[np.uint8] | None
    from_cache: bool


def compile_network(
    build: Callable[[], ov.Model], *, threads: int, tuning: Mapping[str, str | int] = NO_TUNING
) -> CompiledNetwork:
    """Build and compile a network; ``tuning`` goes before the usual options of the runtime.

    0 threads means one per physical core.
    """
    options = cpu_options(threads) | dict(tuning)
    return CompiledNetwork(runtime().compile_model(build(), "CPU", options), None, from_cache=False)


@cache
def runtime() -> ov.Core:
    """Return the one runtime of this process.

    The library below it would keep primitives of unloaded networks, with memory of their own; each loaded
    network keeps its own ones, so that nothing is slower without.
    """
    os.environ.setdefault(_KEPT_PRIMITIVES, "0")  # read once, when the processor's part is loaded
    return ov.Core()


@cache
def computes_in_bf16() -> bool:
    """Whether the runtime computes in bfloat16 on this processor: with AVX-512 or newer, not with AVX2."""
    return "BF16" in runtime().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def cpu_options(threads: int) -> dict[str, str | int]:
    """One request at a time over all threads, in float32 wherever weights are not quantised.

    Where the processor multiplies int8 by int8, inputs of int8 layers are rounded too, in groups that share a
    scale. Groups of 32 kept every sentence embedding within 0.99 of float32; groups of 128 did not.
    """
    options: dict[str, str | int] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32,
    }
    return options | {"INFERENCE_NUM_THREADS": threads} if threads else options


def machine_identity() -> dict[str, str | list[str]]:
    """Return what decides how a network is compiled besides the network: runtime and processor."""
    return {
        "openvino": ov.get_version(),
        "cpu": runtime().get_property("CPU", "FULL_DEVICE_NAME"),
        "can": sorted(runtime().get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    }
