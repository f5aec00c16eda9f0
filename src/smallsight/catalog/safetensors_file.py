"""Reads and validates the header of a safetensors file, so that a damaged file is reported before mapping.

The format: eight bytes of header length, a JSON header that gives each tensor's type, shape and byte range,
the data.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.catalog.checkpoint_text import require_regular_file
from smallsight.errors import BrokenCheckpointError

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip
_VALID_ELSEWHERE = frozenset({
    "F4", "F6_E2M3", "F6_E3M2", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ", "F8_E8M0", "C64",
})  # fmt: skip
_HINT = "fetch the file again; a broken download is the usual cause."


@dataclass(frozen=True)
class StoredTensor:
    """One tensor in a safetensors file; the byte range counts from the start of the data."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def num_values(self) -> int:
        """The number of values in the tensor."""
        return math.prod(self.shape)


def read_header(path: Path) -> tuple[StoredTensor, ...]:
    """Return the tensors of a file in the order of their data.

    Raises BrokenCheckpointError unless names are unique, every type is supported, every range fits its shape,
    and the ranges cover the data exactly, without gap or overlap, to the last byte of the file.
    """
    try:
        require_regular_file(path)
        file_bytes = path.stat().st_size
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            if file_bytes < _LENGTH_BYTES or not 2 <= length <= min(
                file_bytes - _LENGTH_BYTES, _MAX_HEADER_BYTES
            ):
                raise _broken(path, f"its header cannot be {length} bytes in a file of {file_bytes}")
            raw = stream.read(length)
    except OSError as error:
        raise _broken(path, error.strerror or str(error)) from error
    tensors = sorted(_parse(path, raw), key=lambda t: (t.begin, t.end))
    _check_ranges(path, tensors, file_bytes - _LENGTH_BYTES - length)
    return tuple(tensors)


def _parse(path: Path, raw: bytes) -> list[StoredTensor]:
    try:
        header = json.loads(raw, object_pairs_hook=_unique_names)
    except _RepeatedNameError as error:
        raise _broken(path, f"its header contains {error} twice") from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is not an object")
    return [_tensor(path, name, row) for name, row in header.items() if name != "__metadata__"]


class _RepeatedNameError(ValueError):
    """A name occurs twice in an object of the header; the message is the name."""


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; repeated names are rejected, because readers differ in which one they use."""
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise _RepeatedNameError(repr(name))
        seen[name] = value
    return seen


def _tensor(path: Path, name: str, row: Any) -> StoredTensor:  # noqa: ANN401 - the header may hold anything
    try:
        dtype, shape, (begin, end) = row["dtype"], tuple(row["shape"]), row["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(path, f"tensor {name!r} has an invalid description") from error
    if isinstance(dtype, str) and dtype in _VALID_ELSEWHERE:
        raise BrokenCheckpointError(
            f"{path} stores tensor {name!r} as {dtype}, which Smallsight does not support.",
            hint="use a checkpoint whose weights are F32, F16 or BF16.",
        )
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _broken(path, f"tensor {name!r} has the unknown type {dtype!r}")
    if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise _broken(path, f"tensor {name!r} has a shape or range that is not whole numbers")
    tensor = StoredTensor(name, dtype, shape, begin, end)
    if (end - begin) * 8 != tensor.num_values * _BITS[dtype]:
        raise _broken(
            path, f"tensor {name!r} has {end - begin} bytes, which do not fit {dtype} {list(shape)}"
        )
    return tensor


def _check_ranges(path: Path, tensors: list[StoredTensor], data_bytes: int) -> None:
    position = 0
    for tensor in tensors:
        if tensor.begin != position:
            problem = "overlaps the one before" if tensor.begin < position else "leaves a gap before it"
            raise _broken(path, f"tensor {tensor.name!r} {problem}")
        position = tensor.end
    if position != data_bytes:
        raise _broken(path, f"its tensors need {position} bytes of data but it has {data_bytes}")


def _broken(path: Path, why: str) -> BrokenCheckpointError:
    return BrokenCheckpointError(f"{path} is not a usable safetensors file: {why}.", hint=_HINT)
