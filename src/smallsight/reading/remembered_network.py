"""Stores compiled networks on disk, for the text embedder, which commands load at every start.

A stored network is one file: the runtime's export, then its CRC-32 as eight hexadecimal digits. It is
memory-mapped, so processes share its pages. A damaged file is ignored and the network is built again.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import openvino as ov

from smallsight.graph.compiled import CompiledNetwork, compile_network, cpu_options, machine_identity, runtime
from smallsight.machine.private_files import write_whole
from smallsight.policy.log import get_logger

log = get_logger(__name__)

CHECKSUM_BYTES = 8
READ_BYTES = 1 << 20


def load_or_compile(
    build: Callable[[], ov.Model], identity: Mapping[str, str], *, prepared_dir: Path | None, threads: int
) -> CompiledNetwork:
    """Load the network from ``prepared_dir``, or build, compile and store it.

    ``identity`` must determine the network; the runtime's version and the processor are added here. 0 threads
    means one per physical core. Without a folder nothing is read or stored.
    """
    if prepared_dir is None:
        return compile_network(build, threads=threads)
    path = prepared_dir / f"{_network_key(identity)}.network"
    if (stored := _read(path, cpu_options(threads))) is not None:
        return stored
    compiled = compile_network(build, threads=threads)
    _write(path, compiled.model)
    return compiled


def _network_key(identity: Mapping[str, str]) -> str:
    description = json.dumps({"network": dict(identity), "machine": machine_identity()}, sort_keys=True)
    return hashlib.sha256(description.encode()).hexdigest()[:32]


def _read(path: Path, options: dict[str, str | int]) -> CompiledNetwork | None:
    """Return the stored network, or None if it is missing or damaged."""
    try:
        if not _is_whole(path):
            log.warning("remembered_network_damaged", path=str(path), action="building it again")
            return None
        # Copy on write, because the runtime requires writable memory; it never writes to it.
        on_disk = np.memmap(path, np.uint8, mode="c")[:-CHECKSUM_BYTES]
        model = runtime().import_model(ov.Tensor(on_disk, shared_memory=True), "CPU", options)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:
        log.warning("remembered_network_unusable", path=str(path), reason=str(error)[:200])
        return None
    return CompiledNetwork(model, on_disk, from_cache=True)


def _is_whole(path: Path) -> bool:
    """Return whether the file's checksum matches, reading it in pieces."""
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
    """Store the network atomically; a failure is only logged."""
    exported = compiled.export_model()
    content = memoryview(exported.getbuffer() if isinstance(exported, io.BytesIO) else exported)
    try:
        write_whole(path, lambda file: file.writelines((content, _checksum_text(zlib.crc32(content)))))
    except OSError as error:
        log.info("network_not_remembered", path=str(path), reason=str(error))
