"""Compiles networks for the CPU with the process's single runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as ops

from smallsight.machine.processor import multiplies_bf16, usable_instruction_sets

_INT8_DOT_PRODUCTS = frozenset({"avx_vnni", "avx512_vnni", "amx_int8", "dotprod", "i8mm"})
_KEPT_PRIMITIVES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
NO_TUNING: Mapping[str, str | int] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A network ready to run on the CPU; ``bytes_on_disk`` is the memory map that it reads, if any."""

    model: ov.CompiledModel
    bytes_on_disk: NDArray[np.uint8] | None
    from_cache: bool


def compile_network(
    build: Callable[[], ov.Model], *, threads: int, tuning: Mapping[str, str | int] = NO_TUNING
) -> CompiledNetwork:
    """Build and compile a network; ``tuning`` overrides the default options of ``cpu_options``.

    0 threads means one per physical core.
    """
    options = cpu_options(threads) | dict(tuning)
    return CompiledNetwork(runtime().compile_model(build(), "CPU", options), None, from_cache=False)


@cache
def runtime() -> ov.Core:
    """Return the single runtime of this process.

    oneDNN's primitive cache is turned off: it would keep the primitives of unloaded networks in memory, and
    each loaded network caches its primitives itself, so nothing gets slower.
    """
    core = ov.Core()
    if _KEPT_PRIMITIVES in os.environ:
        return core
    os.environ[_KEPT_PRIMITIVES] = "0"  # read once, when the first network is compiled
    try:
        core.compile_model(_smallest_network(), "CPU", cpu_options(1))
    finally:
        del os.environ[_KEPT_PRIMITIVES]  # torch has a oneDNN too, and needs its cache
    return core


def _smallest_network() -> ov.Model:
    row = ops.parameter([1, 1], np.float32)
    product = ops.matmul(row, ops.constant(np.ones((1, 1), np.float32)), transpose_a=False, transpose_b=False)
    return ov.Model([ops.result(product)], [row], "smallest")


@cache
def computes_in_bf16() -> bool:
    """Return whether networks can compute in bfloat16 on this processor.

    With AVX-512 alone the runtime imitates bfloat16, but its paged attention fails there at the first call
    (openvino 2026.4.1, "brgemm bf16 kernel could only be used above avx512_bf16").
    """
    may_use = multiplies_bf16() or not usable_instruction_sets()
    return may_use and "BF16" in runtime().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def imitates_bf16() -> bool:
    """Return whether the runtime multiplies bfloat16 with instructions for float32.

    With AVX-512 alone it does (openvino 2026.4.1, kernel jit_gemm_bf16), and rows from the thirteenth on are
    summed in another order than those before; with AVX2 it widens such weights.
    """
    return "avx512f" in usable_instruction_sets() and not multiplies_bf16()


def activation_group(wanted: int) -> int:
    """Return how many inputs of an 8-bit layer share a scale; 0, not rounded, where int8 products are slow.

    Without int8 dot products the runtime ignores the number, except under ``ONEDNN_MAX_CPU_ISA``, where it
    fails to find a kernel (openvino 2026.4.1 on a Xeon limited to AVX2).
    """
    usable = usable_instruction_sets()
    return wanted if not usable or not _INT8_DOT_PRODUCTS.isdisjoint(usable) else 0


def cpu_options(threads: int) -> dict[str, str | int]:
    """Return options for one request at a time on all threads, in float32 where weights are not quantised.

    Where the processor multiplies int8 by int8, the inputs of int8 layers are rounded too, in groups that
    share a scale. With groups of 32, every sentence embedding kept a similarity of 0.99 to float32; with
    groups of 128 some did not.

    Threads are not pinned to cores, which is the runtime's default: it counts cores from the first one in
    every process, so that two processes of one thread each shared core 0 and left the others idle. Every
    network needs this, because the runtime gives a network the executor, and the pinning, of one that was
    freed (openvino 2026.4.1, findings/openvino_cpu_pinning.sh).
    """
    options: dict[str, str | int] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": activation_group(32),
    }
    return options | {"INFERENCE_NUM_THREADS": threads} if threads else options


def machine_identity() -> dict[str, str | list[str]]:
    """Return what determines a compiled network apart from the network: runtime version and processor."""
    return {
        "openvino": ov.get_version(),
        "cpu": runtime().get_property("CPU", "FULL_DEVICE_NAME"),
        "can": sorted(runtime().get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    }
