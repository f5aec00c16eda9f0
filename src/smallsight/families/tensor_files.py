"""Reads tensors from memory-mapped safetensors files, each on request.

The safetensors package cannot read bfloat16 into numpy; this can, for any family.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.safetensors_file import StoredTensor, read_header
from smallsight.errors import BrokenCheckpointError

KINDS = ("F32", "F16", "BF16")
HINT = "fetch the file again; it may have been cut off while copying."


class TensorFiles:
    """A safetensors file whose tensors are taken by name, each at most once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries, self._data, self._map = _open(path)
        self._untaken = set(self._entries)

    @property
    def untaken(self) -> frozenset[str]:
        """Names of the tensors not taken yet."""
        return frozenset(self._untaken)

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a float32 tensor, once; wrong shapes and non-finite values raise BrokenCheckpointError."""
        entry = self._claim(name, shape)
        self._release_pages()
        values = widen(self._data[entry.begin : entry.end], entry.dtype).reshape(shape)
        if not np.isfinite(values).all():
            raise BrokenCheckpointError(
                f"Tensor {name} of {self._path} has values that are not finite.", hint=HINT
            )
        return values

    def map_table(self, name: str, shape: tuple[int, int]) -> RowTable:
        """Return a table whose rows stay in the file, once. Another shape raises BrokenCheckpointError."""
        entry = self._claim(name, shape)
        rows = self._data[entry.begin : entry.end].reshape(shape[0], -1)
        return RowTable(f"Tensor {name} of {self._path}", entry.dtype, rows)

    def _release_pages(self) -> None:
        """Release the pages read so far; otherwise a large file would count fully towards our memory."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def check(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        """Return a tensor's header entry; raises BrokenCheckpointError for another shape or type."""
        entry = self._entries.get(name)
        if entry is None:
            raise BrokenCheckpointError(f"{self._path} has no tensor {name}.", hint=HINT)
        if entry.shape != shape:
            raise BrokenCheckpointError(
                f"Tensor {name} of {self._path} has shape {list(entry.shape)}, expected {list(shape)}.",
                hint="config.json and model.safetensors must belong together.",
            )
        if entry.dtype not in KINDS:
            raise BrokenCheckpointError(
                f"Tensor {name} of {self._path} is stored as {entry.dtype}, expected {' or '.join(KINDS)}.",
                hint="use a checkpoint in one of these types.",
            )
        return entry

    def _claim(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        """Return a tensor's checked header entry and mark it as taken."""
        entry = self.check(name, shape)
        if name not in self._untaken:
            raise BrokenCheckpointError(f"Tensor {name} of {self._path} is used twice.")
        self._untaken.remove(name)
        return entry


@dataclass(frozen=True, eq=False)
class RowTable:
    """A table in a file, read row by row, so that only the pages of used rows are in memory."""

    name: str
    kind: str
    rows_bytes: NDArray[np.uint8]

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return len(self.rows_bytes)

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return these rows as float32 [ids, width]; raises BrokenCheckpointError if one is not finite."""
        values = widen(self.rows_bytes[ids].reshape(-1), self.kind).reshape(len(ids), -1)
        if not np.isfinite(values).all():
            raise BrokenCheckpointError(f"{self.name} has values that are not finite.", hint=HINT)
        return values


class CheckpointParts:
    """The safetensors files of one checkpoint; tensor names are unique among them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._parts = [TensorFiles(path) for path in paths]

    @property
    def untaken(self) -> frozenset[str]:
        """Names of the tensors not taken yet."""
        return frozenset().union(*(part.untaken for part in self._parts))

    def part_with(self, name: str) -> TensorFiles:
        """Return the file that still has this tensor, or the first file, which then raises the error."""
        return next((part for part in self._parts if name in part.untaken), self._parts[0])

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise BrokenCheckpointError unless these tensors have these shapes; reads headers only."""
        for name, shape in shapes.items():
            self.part_with(name).check(name, shape)

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32, once; see ``TensorFiles.take``."""
        return self.part_with(name).take(name, shape)


def widen(stored: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """Convert little-endian bytes of type "F32", "F16" or "BF16" to float32."""
    if kind == "BF16":  # the upper half of a float32
        widened = stored.view("<u2").astype(np.uint32)
        widened <<= 16  # in place: a large tensor is not held twice
        return widened.view(np.float32)
    return stored.view("<f4" if kind == "F32" else "<f2").astype(np.float32, copy=False)


def _open(path: Path) -> tuple[dict[str, StoredTensor], NDArray[np.uint8], mmap.mmap]:
    """Read the header and map the data after it."""
    tensors = read_header(path)
    num_data_bytes = max((tensor.end for tensor in tensors), default=0)
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: the file has become empty
        raise BrokenCheckpointError(f"{path} cannot be read: {error}.", hint=HINT) from error
    # The header's ranges cover the data to the last byte. numpy can view an unaligned byte range as 4-byte
    # numbers.
    data = np.frombuffer(mapped, np.uint8)[len(mapped) - num_data_bytes :]
    return {tensor.name: tensor for tensor in tensors}, data, mapped
