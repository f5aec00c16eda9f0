"""A memory-mapped copy of chunk vectors beside the database, so that a new process need not read them all.

Safe to delete. A file that is incomplete or from another version or library is ignored and replaced.
Layout: a page with a JSON header, float32 vectors, int64 chunk ids, int64 content ids.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from smallsight.machine.private_files import create_private_file

_HEADER_BYTES = 4096
_FORMAT = "smallsight-vectors-1"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Vectors of chunks, by ascending chunk id: [N, D] float32, and int64 [N] each for the ids."""

    vectors_ND: np.ndarray
    chunk_ids_N: np.ndarray
    content_ids_N: np.ndarray

    def __len__(self) -> int:
        return len(self.chunk_ids_N)


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
    ids_crc32: int


def read_vector_file(path: Path, embedder_key: str) -> tuple[VectorBlock, Stamp] | None:
    """Map the file, or return None if there is no valid one."""
    try:
        with path.open("rb") as file:
            header = _Header(**json.loads(file.read(_HEADER_BYTES).rstrip(b"\0")))
            if (header.format, header.embedder_key) != (_FORMAT, embedder_key):
                return None
            num_vectors, num_dimensions = header.num_vectors, header.num_dimensions
            ids_offset = _HEADER_BYTES + 4 * num_vectors * num_dimensions
            if num_vectors < 1 or os.fstat(file.fileno()).st_size != ids_offset + 16 * num_vectors:
                return None
            file.seek(ids_offset)
            ids = file.read()
        if zlib.crc32(ids) != header.ids_crc32:
            return None
        ids_2N = np.frombuffer(ids, dtype="<i8").reshape(2, num_vectors)
        vectors_ND = np.memmap(path, "<f4", "r", _HEADER_BYTES, (num_vectors, num_dimensions))
    except (OSError, ValueError, TypeError):
        return None
    stamp = Stamp(header.last_chunk_id, header.num_deleted)
    return VectorBlock(vectors_ND.view(np.ndarray), ids_2N[0], ids_2N[1]), stamp


def write_vector_file(path: Path, embedder_key: str, stamp: Stamp, blocks: Iterable[VectorBlock]) -> bool:
    """Replace the file, block by block; return whether that succeeded."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    chunk_ids: list[np.ndarray] = []
    content_ids: list[np.ndarray] = []
    num_dimensions = 0
    try:
        create_private_file(draft)
        with draft.open("wb") as file:
            file.write(bytes(_HEADER_BYTES))
            for block in blocks:
                num_dimensions = block.vectors_ND.shape[1]
                file.write(np.ascontiguousarray(block.vectors_ND, dtype="<f4").data)
                chunk_ids.append(block.chunk_ids_N)
                content_ids.append(block.content_ids_N)
            ids = np.concatenate([*chunk_ids, *content_ids]).astype("<i8").tobytes()
            file.write(ids)
            num_vectors = len(ids) // 16
            header = _Header(
                _FORMAT,
                embedder_key,
                num_vectors,
                num_dimensions,
                stamp.last_chunk_id,
                stamp.num_deleted,
                zlib.crc32(ids),
            )
            file.seek(0)
            file.write(json.dumps(asdict(header)).encode())
        draft.replace(path)
    except OSError as error:
        _log.info("Vectors are kept in memory only, as %s cannot be written: %s", path, error)
        draft.unlink(missing_ok=True)
        return False
    return True
