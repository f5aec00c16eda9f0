"""A memory-mapped copy of chunk vectors beside the database, so that a new process need not read them all.

Safe to delete. A file that is incomplete or from another version or library is ignored and replaced.
Layout: a page with a JSON header, int8 codes, float32 scales and errors, int64 chunk ids and content ids.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from smallsight.library.search.sqlite.vector_block import VectorBlock, joined
from smallsight.machine.private_files import create_private_file
from smallsight.policy.log import get_logger

_HEADER_BYTES = 4096
_FORMAT = "smallsight-vectors-3"
_TAIL_BYTES = 4 + 4 + 8 + 8  # of each vector, after the codes
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stamp:
    """A state of the chunk table: the highest id ever assigned, and how many rows were deleted."""

    last_chunk_id: int
    num_deleted: int

    def is_at_or_after(self, other: Stamp) -> bool:
        """Return whether this state includes everything that happened up to the other one."""
        return self.last_chunk_id >= other.last_chunk_id and self.num_deleted >= other.num_deleted


@dataclass(frozen=True, slots=True)
class _Header:
    format: str
    embedder_key: str
    num_vectors: int
    num_dimensions: int
    last_chunk_id: int
    num_deleted: int
    tail_crc32: int
    codes_sum: int


def read_vector_file(path: Path, embedder_key: str) -> tuple[VectorBlock, Stamp] | None:
    """Map the file, or return None if there is none of this version; a damaged one is reported."""
    try:
        with path.open("rb") as file:
            return _read(file, embedder_key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("vector_file_damaged", path=str(path), reason=str(error), action="writing it again")
        return None


def _read(file: BinaryIO, embedder_key: str) -> tuple[VectorBlock, Stamp] | None:
    """Return what ``read_vector_file`` does; raises ValueError or TypeError for a damaged file."""
    described = json.loads(file.read(_HEADER_BYTES).rstrip(b"\0"))
    if isinstance(described, dict) and described.get("format") != _FORMAT:
        return None
    header = _Header(**described)
    if header.embedder_key != embedder_key:
        return None
    num_vectors, num_dimensions = header.num_vectors, header.num_dimensions
    tail_offset = _HEADER_BYTES + num_vectors * num_dimensions
    num_bytes = tail_offset + _TAIL_BYTES * num_vectors
    if num_vectors < 1 or os.fstat(file.fileno()).st_size != num_bytes:
        raise ValueError(f"it does not have {num_bytes} bytes")
    file.seek(tail_offset)
    tail = file.read()
    # Copy on write, because the runtime requires writable memory; nothing writes to it.
    mapped = mmap.mmap(file.fileno(), tail_offset, access=mmap.ACCESS_COPY)
    codes_ND = np.frombuffer(mapped, np.int8, num_vectors * num_dimensions, _HEADER_BYTES)
    if zlib.crc32(tail) != header.tail_crc32 or _sum_of(codes_ND) != header.codes_sum:
        raise ValueError("its checksum is wrong")
    scales_2N = np.frombuffer(tail, "<f4", 2 * num_vectors).reshape(2, num_vectors)
    ids_2N = np.frombuffer(tail, "<i8", offset=8 * num_vectors).reshape(2, num_vectors)
    stamp = Stamp(header.last_chunk_id, header.num_deleted)
    codes_ND = codes_ND.reshape(num_vectors, num_dimensions)
    block = VectorBlock(codes_ND, scales_2N[0], scales_2N[1], ids_2N[0], ids_2N[1], mapped)
    return block, stamp


def _sum_of(codes: np.ndarray) -> int:
    """Return the sum of the bytes, eight at a time: at the speed of memory, unlike a CRC."""
    num_whole = codes.size // 8 * 8
    whole = codes[:num_whole].view("<u8").sum(dtype=np.uint64)
    rest: int = sum(codes[num_whole:].view(np.uint8).tolist())
    return (int(whole) + rest) % 2**64


def write_vector_file(path: Path, embedder_key: str, stamp: Stamp, blocks: Iterable[VectorBlock]) -> bool:
    """Replace the file, block by block; return whether that succeeded."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    written: list[VectorBlock] = []  # without their codes
    num_dimensions = 0
    try:
        create_private_file(draft)
        with draft.open("wb") as file:
            file.write(bytes(_HEADER_BYTES))
            for block in blocks:
                num_dimensions = block.codes_ND.shape[1]
                file.write(np.ascontiguousarray(block.codes_ND).data)
                written.append(replace(block, codes_ND=block.codes_ND[:, :0].copy(), mapped=None))
            rows = joined(written)
            num_vectors = len(rows)
            tail = b"".join(
                np.asarray(column_N, kind).tobytes()
                for column_N, kind in (
                    (rows.scales_N, "<f4"),
                    (rows.errors_N, "<f4"),
                    (rows.chunk_ids_N, "<i8"),
                    (rows.content_ids_N, "<i8"),
                )
            )
            file.write(tail)
            file.flush()
            codes = np.memmap(draft, np.int8, "r", _HEADER_BYTES, (num_vectors * num_dimensions,))
            header = _Header(
                _FORMAT,
                embedder_key,
                num_vectors,
                num_dimensions,
                stamp.last_chunk_id,
                stamp.num_deleted,
                zlib.crc32(tail),
                _sum_of(codes),
            )
            file.seek(0)
            file.write(json.dumps(asdict(header)).encode())
        draft.replace(path)
        path.with_suffix(".f32").unlink(missing_ok=True)  # the file of versions before 0.2
    except OSError as error:
        log.info("vectors_in_memory_only", path=str(path), reason=str(error))
        draft.unlink(missing_ok=True)
        return False
    return True
