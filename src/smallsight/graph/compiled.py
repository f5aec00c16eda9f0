"""Compiling a network for the CPU, and remembering the result on disk.

A remembered network is one file: what the runtime exported, then eight hexadecimal digits of its CRC-32.
It is memory-mapped when used, so processes share its pages. Anything wrong with it means building it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import openvino as ov
import structlog
from numpy.typing import NDArray

log = structlog.get_logger(__name__)

CHECKSUM_BYTES = 8
_KEPT_PRIMITIVES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
READ_BYTES = 1 << 20
NO_TUNING: Mapping[str, str | int] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class CompiledNetwork:
    """A network ready to run on the CPU; ``bytes_on_disk`` must live as long as it does."""

    model: ov.CompiledModel
    bytes_on_disk: NDArray[np.uint8] | None
    from_cache: bool


def load_or_compile(
    build: Callable[[], ov.Model],
    identity: Mapping[str, str],
    *,
    prepared_dir: Path | None,
    threads: int,
    tuning: Mapping[str, str | int] = NO_TUNING,
) -> CompiledNetwork:
    """Take the network from ``prepared_dir``, or build it, compile it and keep it there.

    ``identity`` names everything the network is made of; the runtime's version, the processor and ``tuning``,
    which goes before the usual options of the runtime, are added here. 0 threads means one per physical core.
    With None for a folder nothing is read or kept.
    """
    options = _cpu_options(threads) | dict(tuning)
    identity = {**identity, **{name: str(value) for name, value in tuning.items()}}
    if prepared_dir is None:
        return CompiledNetwork(_core().compile_model(build(), "CPU", options), None, from_cache=False)
    path = prepared_dir / f"{_network_key(identity)}.network"
    if (remembered := _read(path, options)) is not None:
        return remembered
    compiled = _core().compile_model(build(), "CPU", options)
    _write(path, compiled)
    return CompiledNetwork(compiled, None, from_cache=False)


@cache
def _core() -> ov.Core:
    """Return the one runtime of this process.

    The library below it would keep primitives of unloaded networks, with memory of their own; each loaded
    network keeps its own ones, so that nothing is slower without.
    """
    os.environ.setdefault(_KEPT_PRIMITIVES, "0")  # read once, when the processor's part is loaded
    return ov.Core()


@cache
def computes_in_bf16() -> bool:
    """Whether the runtime computes in bfloat16 on this processor: with AVX-512 or newer, not with AVX2."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _cpu_options(threads: int) -> dict[str, str | int]:
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
        "cpu": _core().get_property("CPU", "FULL_DEVICE_NAME"),
        "can": sorted(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
    }


def _network_key(identity: Mapping[str, str]) -> str:
    description = json.dumps({"network": dict(identity), "machine": machine_identity()}, sort_keys=True)
    return hashlib.sha256(description.encode()).hexdigest()[:32]


def _read(path: Path, options: dict[str, str | int]) -> CompiledNetwork | None:
    """Return the remembered network, or None if there is none or it is damaged."""
    try:
        if not _is_whole(path):
            log.warning("remembered_network_damaged", path=str(path), action="building it again")
            return None
        # Copy on write, because the runtime asks for memory that could be written to; it never is.
        on_disk = np.memmap(path, np.uint8, mode="c")[:-CHECKSUM_BYTES]
        model = _core().import_model(ov.Tensor(on_disk, shared_memory=True), "CPU", options)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:
        log.warning("remembered_network_unusable", path=str(path), reason=str(error)[:200])
        return None
    return CompiledNetwork(model, on_disk, from_cache=True)


def _is_whole(path: Path) -> bool:
    """Compare the file's last bytes with the checksum of those before, without holding it in memory."""
    with path.open("rb") as file:
        remaining = path.stat().st_size - CHECKSUM_BYTES
        checksum = 0
        while remaining > 0 and (piece := file.read(min(READ_BYTES, remaining))):
            checksum = zlib.crc32(piece, checksum)
            remaining -= len(piece)
        return remaining == 0 and file.read() == _checksum_text(checksum)


def _checksum_text(checksum: int) -> bytes:
    return f"{checksum:0{CHECKSUM_BYTES}x}".encode("ascii")


def _write(path: Path, compiled: ov.CompiledModel) -> None:
    """Keep the network under its name in one step; failing to is logged and harmless."""
    exported = compiled.export_model()
    content = memoryview(exported.getbuffer() if isinstance(exported, io.BytesIO) else exported)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.stem, suffix=".part", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(content)
            file.write(_checksum_text(zlib.crc32(content)))
        temporary.replace(path)
    except OSError as error:
        log.warning("network_not_remembered", path=str(path), reason=str(error))
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
