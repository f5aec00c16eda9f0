"""Reading tensors from safetensors files, each through a memory map and only when asked for.

The numpy side of the safetensors package cannot read bfloat16; this reads the same format for any family.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.safetensors_file import StoredTensor, read_header
from smallsight.errors import BrokenCheckpointError

KINDS = ("F32", "F16", "BF16")
HINT = "fetch the file again; it may have been cut off while copying."


class TensorFiles:
    """One safetensors file whose tensors are taken by name; it remembers which were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries, self._data, self._map = _open(path)
        self._untaken = set(self._entries)

    @property
    def untaken(self) -> frozenset[str]:
        """Names of tensors that have not been taken yet."""
        return frozenset(self._untaken)

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32, once; it must have this shape and hold finite numbers only."""
        entry = self._claim(name, shape)
        self._release_pages()
        values = widen(self._data[entry.begin : entry.end], entry.dtype).reshape(shape)
        if not np.isfinite(values).all():
            raise BrokenCheckpointError(
                f"Tensor {name} of {self._path} holds values that are not numbers.", hint=HINT
            )
        return values

    def map_table(self, name: str, shape: tuple[int, int]) -> RowTable:
        """Return a table whose rows stay in the file, once; it must have this shape."""
        entry = self._claim(name, shape)
        rows = self._data[entry.begin : entry.end].reshape(shape[0], -1)
        return RowTable(f"Tensor {name} of {self._path}", entry.dtype, rows)

    def _release_pages(self) -> None:
        """Let the system take back what was read before, else all of a large file would count as ours."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _claim(self, name: str, shape: tuple[int, ...]) -> StoredTensor:
        """Find a tensor, check what its header says, and remember that it was used."""
        entry = self._entries.get(name)
        if entry is None:
            raise BrokenCheckpointError(f"{self._path} has no tensor {name}.", hint=HINT)
        if name not in self._untaken:
            raise BrokenCheckpointError(f"Tensor {name} of {self._path} would be used twice.")
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
        self._untaken.remove(name)
        return entry


@dataclass(frozen=True, eq=False)
class RowTable:
    """A table in a file, read row by row, so that only the pages of rows in use are in memory."""

    name: str
    kind: str
    rows_bytes: NDArray[np.uint8]

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return these rows as float32 [ids, width]; raises BrokenCheckpointError if one is not finite."""
        values = widen(self.rows_bytes[ids].reshape(-1), self.kind).reshape(len(ids), -1)
        if not np.isfinite(values).all():
            raise BrokenCheckpointError(f"{self.name} holds values that are not numbers.", hint=HINT)
        return values


class CheckpointParts:
    """Several safetensors files that make up one checkpoint; names are unique among them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._parts = [TensorFiles(path) for path in paths]

    @property
    def untaken(self) -> frozenset[str]:
        """Names of tensors that have not been taken yet."""
        return frozenset().union(*(part.untaken for part in self._parts))

    def part_with(self, name: str) -> TensorFiles:
        """Return the file that still has this tensor, or the first, which will say that it has none."""
        return next((part for part in self._parts if name in part.untaken), self._parts[0])

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32, once; see ``TensorFiles.take``."""
        return self.part_with(name).take(name, shape)


def widen(stored: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """Read bytes as little-endian numbers of this kind ("F32", "F16" or "BF16") and return float32."""
    if kind == "BF16":  # the upper half of a float32
        return (stored.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return stored.view("<f4" if kind == "F32" else "<f2").astype(np.float32, copy=False)


def _open(path: Path) -> tuple[dict[str, StoredTensor], NDArray[np.uint8], mmap.mmap]:
    """Read the header and map the data behind it."""
    tensors = read_header(path)
    num_data_bytes = max((tensor.end for tensor in tensors), default=0)
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: the file is empty by now
        raise BrokenCheckpointError(f"{path} cannot be read: {error}.", hint=HINT) from error
    # The header's ranges cover the data to the last byte. Reading a byte range as 4-byte numbers needs no
    # alignment in numpy.
    data = np.frombuffer(mapped, np.uint8)[len(mapped) - num_data_bytes :]
    return {tensor.name: tensor for tensor in tensors}, data, mapped
