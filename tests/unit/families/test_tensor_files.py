from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from smallsight.catalog.safetensors_file import read_header
from smallsight.errors import BrokenCheckpointError
from smallsight.families.tensor_files import TensorFiles

VALUES = np.array([[1.0, -2.5, 0.15625], [3.0, 0.0, -1e-3]], np.float32)


def write(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_float32_and_float16_come_back_as_float32(path: Path):
    save_file({"single": VALUES, "half": VALUES.astype(np.float16)}, path, metadata={"format": "pt"})
    checkpoint = TensorFiles(path)
    np.testing.assert_array_equal(checkpoint.take("single", (2, 3)), VALUES)
    half = checkpoint.take("half", (2, 3))
    assert half.dtype == np.float32
    np.testing.assert_array_equal(half, VALUES.astype(np.float16))


def test_bfloat16_is_the_upper_half_of_float32(path: Path):
    upper = (VALUES.view(np.uint32) >> 16).astype("<u2")
    header = {"x": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}
    got = TensorFiles(write(path, header, upper.tobytes())).take("x", (2, 3))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, VALUES, rtol=2**-7)
    np.testing.assert_array_equal(got.view(np.uint32) & 0xFFFF, 0)


def test_a_header_of_any_length_does_not_misalign_the_values(path: Path):
    header = {"x": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}}
    for spaces in range(4):
        write(path, json.dumps(header).encode() + b" " * spaces, VALUES.tobytes())
        np.testing.assert_array_equal(TensorFiles(path).take("x", (6,)), VALUES.ravel())


def test_taking_is_counted(path: Path):
    save_file({"a": VALUES, "b": VALUES}, path)
    checkpoint = TensorFiles(path)
    assert checkpoint.untaken == {"a", "b"}
    checkpoint.take("a", (2, 3))
    assert checkpoint.untaken == {"b"}
    with pytest.raises(BrokenCheckpointError, match=r"Tensor a .* used twice"):
        checkpoint.take("a", (2, 3))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_refused(path: Path, bad: float):
    values = VALUES.copy()
    values[1, 2] = bad
    save_file({"x": values}, path)
    with pytest.raises(BrokenCheckpointError, match=r"Tensor x .* not finite"):
        TensorFiles(path).take("x", (2, 3))


def test_wrong_shape_and_unknown_name_say_what_was_found(path: Path):
    save_file({"x": VALUES}, path)
    checkpoint = TensorFiles(path)
    with pytest.raises(BrokenCheckpointError, match=r"shape \[2, 3\], expected \[3, 2\]"):
        checkpoint.take("x", (3, 2))
    with pytest.raises(BrokenCheckpointError, match="no tensor y"):
        checkpoint.take("y", (2, 3))


def test_integers_are_not_weights(path: Path):
    save_file({"x": np.arange(3)}, path)
    with pytest.raises(BrokenCheckpointError, match="stored as I64"):
        TensorFiles(path).take("x", (3,))


def test_every_cut_of_a_file_is_a_typed_error(path: Path):
    save_file({"x": VALUES}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BrokenCheckpointError, match=str(path)):
            TensorFiles(path)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff\xfe",
        b"nonsense",
        [],
        {"x": 5},
        {"x": {}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0]}},
        {"x": {"dtype": "F32", "shape": ["a"], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": ["a", "b"]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
        {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}},
        {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"x": {"dtype": "F32", "shape": [1 << 62, 4], "data_offsets": [0, 0]}},
    ],
)
def test_a_damaged_header_is_a_typed_error(path: Path, header: object):
    with pytest.raises(BrokenCheckpointError):
        TensorFiles(write(path, header, b"abcd"))


def entry(begin: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}


@pytest.mark.parametrize("read", [TensorFiles, read_header])
@pytest.mark.parametrize(
    ("header", "num_bytes", "why"),
    [
        ({"a": entry(0, 4), "b": entry(8, 12)}, 12, "'b' leaves a gap"),
        ({"a": entry(0, 8), "b": entry(4, 12)}, 12, "'b' overlaps"),
        ({"a": entry(0, 4)}, 5, "need 4 bytes of data but it has 5"),
        (f'{{"a": {json.dumps(entry(0, 4))}, "a": {json.dumps(entry(0, 8))}}}'.encode(), 8, "'a' twice"),
        ({"a": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [0, 4]}}, 4, "as F8_E8M0"),
    ],
)
def test_both_ways_into_a_file_refuse_the_same(
    path: Path, read: Callable[[Path], object], header: object, num_bytes: int, why: str
):
    with pytest.raises(BrokenCheckpointError, match=why):
        read(write(path, header, bytes(num_bytes)))


def test_a_missing_file_is_a_typed_error(path: Path):
    with pytest.raises(BrokenCheckpointError, match="No such file"):
        TensorFiles(path)
