"""Reads tensors of safetensors files into torch, each when it is asked for, and keeps no file mapped.

transformers loads a network from such tensors one after the other and quantises each before it asks for the
next. What was freed meanwhile is returned to the system, so that the peak stays close to the final size.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType

import torch
from torch import Tensor

from smallsight.catalog.safetensors_file import StoredTensor, read_header
from smallsight.errors import BrokenCheckpointError
from smallsight.families.tensor_files import HINT
from smallsight.machine.memory import trim_heap

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_READ_BETWEEN_TRIMS = 2 << 20  # values: 8 MiB in float32


class HeapTrimming:
    """Returns freed memory to the system after enough values have been read.

    Otherwise weights lie among the freed temporaries of others, which then stay resident.
    """

    def __init__(self) -> None:
        self._values_since_trim = 0

    def count(self, num_values: int) -> None:
        """Count values that were read, and trim after enough of them."""
        self._values_since_trim += num_values
        if self._values_since_trim >= _READ_BETWEEN_TRIMS:
            self._values_since_trim = 0
            trim_heap()


class CheckpointTensors:
    """The tensors of a checkpoint's files by name; several threads may read.

    ``on_read`` is called with the fraction of the bytes that has been read.
    """

    def __init__(self, paths: Sequence[Path], on_read: Callable[[float], None] = lambda _: None) -> None:
        self.tensors: dict[str, TensorInFile] = {}
        for path in paths:
            stored = read_header(path)
            data_begin = path.stat().st_size - max((one.end for one in stored), default=0)
            self.tensors |= {one.name: TensorInFile(path, data_begin, one, self._note) for one in stored}
        self._num_bytes = sum(one.num_bytes for one in self.tensors.values())
        self._read_bytes = 0
        self._on_read = on_read
        self._trimming = HeapTrimming()
        self._lock = threading.Lock()

    def _note(self, tensor: TensorInFile) -> None:
        """Trim before a tensor is read, when nobody needs the temporaries of the one before."""
        with self._lock:
            self._trimming.count(tensor.stored.num_values)
            self._read_bytes += tensor.num_bytes
            self._on_read(min(1.0, self._read_bytes / self._num_bytes))


@dataclass(frozen=True)
class TensorInFile:
    """One tensor in a file, read by ``tensor[...]``, as transformers does when it needs the values."""

    path: Path
    data_begin: int
    stored: StoredTensor
    before_reading: Callable[[TensorInFile], None]
    is_transposed: bool = False

    @property
    def num_bytes(self) -> int:
        """The size in the file."""
        return self.stored.end - self.stored.begin

    def __getitem__(self, _: EllipsisType) -> Tensor:
        """Read the values; raises BrokenCheckpointError if they are missing or not finite."""
        self.before_reading(self)
        values = self._read()
        if values.numel() and not bool(torch.isfinite(torch.stack(torch.aminmax(values))).all()):
            raise BrokenCheckpointError(
                f"Tensor {self.stored.name} of {self.path} has values that are not finite.", hint=HINT
            )
        return values.T.contiguous() if self.is_transposed else values

    def has_values_of(self, other: TensorInFile) -> bool:
        """Read both and return whether they are the same; a value that is not a number never is."""
        return self.stored.dtype == other.stored.dtype and torch.equal(self._read(), other._read())

    def _read(self) -> Tensor:
        held = torch.empty(self.num_bytes, dtype=torch.uint8)
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(self.data_begin + self.stored.begin)
                num_read = file.readinto(held.numpy().data)
        except OSError as error:
            raise BrokenCheckpointError(f"{self.path} cannot be read: {error}.", hint=HINT) from error
        if num_read != self.num_bytes:
            raise BrokenCheckpointError(
                f"{self.path} ends within tensor {self.stored.name}: the file was changed while it was read.",
                hint=HINT,
            )
        return held.view(_DTYPES[self.stored.dtype]).reshape(self.stored.shape)
