"""A sound file is read as the reference library reads it; every kind of damage is a sentence."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

from smallsight.catalog.safetensors_file import read_header
from smallsight.errors import BrokenCheckpointError

WHOLE = save(
    {
        "weight": np.arange(12, dtype=np.float32).reshape(3, 4),
        "norm": np.ones(5, np.float16),
        "flag": np.array([True, False]),
        "empty": np.zeros((0, 7), np.int64),
        "one": np.array(3.0, np.float64),
    },
    metadata={"format": "pt"},
)


REPEATED_NAME = (
    b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},'
    b' "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'
)
REPEATED_KEY = b'{"a": {"dtype": "U8", "dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'


def write(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    return path


def with_header(header, data=b""):
    raw = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(raw)) + raw + data


def tensor(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_the_header_says_what_the_reference_says(tmp_path):
    path = write(tmp_path, WHOLE)
    held = {t.name: (t.dtype, t.shape, t.num_values) for t in read_header(path)}
    with safe_open(path, "np") as reference:
        assert set(held) == set(reference.keys())
        for name in reference.keys():  # noqa: SIM118 - not a dict
            slice_ = reference.get_slice(name)
            shape = tuple(slice_.get_shape())
            assert held[name] == (slice_.get_dtype(), shape, int(np.prod(shape)))


@pytest.mark.parametrize("cut", [1, 8, 60])
def test_a_truncated_file_is_refused(tmp_path, cut):
    with pytest.raises(BrokenCheckpointError, match="not a usable safetensors file") as failed:
        read_header(write(tmp_path, WHOLE[:-cut]))
    assert "fetch the file again" in failed.value.hint


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "header cannot be"),
        (b"1234567", "header cannot be"),
        (struct.pack("<Q", 2**63) + b"{}", "header cannot be"),
        (struct.pack("<Q", 0), "header cannot be"),
        (with_header(b"{nonsense"), "not JSON"),
        (with_header(b"[" * 100_000 + b"]" * 100_000), "not JSON"),
        (with_header([1, 2]), "not an object"),
        (with_header({"a": 3}), "invalid description"),
        (with_header({"a": {"dtype": "F32", "shape": [1]}}), "invalid description"),
        (with_header({"a": tensor(dtype="PICKLE")}, b"1234"), "unknown type"),
        (with_header({"a": tensor(dtype=["F32"])}, b"1234"), "unknown type"),
        (with_header({"a": tensor(shape=(-1,))}, b"1234"), "not whole numbers"),
        (with_header({"a": tensor(shape=(1.0,))}, b"1234"), "not whole numbers"),
        (with_header({"a": tensor(offsets=(4, 0))}, b"1234"), "has -4 bytes"),
        (with_header({"a": tensor(shape=(2**62, 2**62))}, b"1234"), "has 4 bytes"),
        (with_header({"a": tensor(shape=(2,))}, b"1234"), "has 4 bytes"),
        (with_header({"a": tensor(), "b": tensor(offsets=(2, 6))}, b"123456"), "overlaps"),
        (with_header({"a": tensor(), "b": tensor(offsets=(6, 10))}, b"1234567890"), "gap"),
        (with_header({"a": tensor(offsets=(4, 8))}, b"12345678"), "gap"),
        (with_header({"a": tensor()}, b"12345"), "need 4 bytes of data but it has 5"),
        (with_header({"a": tensor()}, b""), "need 4 bytes of data but it has 0"),
        (with_header(REPEATED_NAME, b"12345678"), "its header contains 'a' twice"),
        (with_header(REPEATED_KEY, b"1234"), "its header contains 'dtype' twice"),
    ],
)
def test_damage_is_a_sentence(tmp_path, content, why):
    with pytest.raises(BrokenCheckpointError, match=why):
        read_header(write(tmp_path, content))


@pytest.mark.parametrize(
    ("dtype", "num_bytes"), [("F4", 1), ("F6_E3M2", 3), ("F8_E4M3", 2), ("F8_E8M0", 2), ("C64", 16)]
)
def test_a_valid_type_that_is_not_supported_is_no_broken_download(tmp_path, dtype, num_bytes):
    content = with_header({"a": tensor(dtype, (2,), (0, num_bytes))}, bytes(num_bytes))
    with pytest.raises(BrokenCheckpointError, match=f"'a' as {dtype}, which Smallsight does not") as failed:
        read_header(write(tmp_path, content))
    assert failed.value.hint == "use a checkpoint whose weights are F32, F16 or BF16."


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(BrokenCheckpointError, match="No such file"):
        read_header(tmp_path / "absent.safetensors")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_raise_anything_else(tmp_path, data):
    changed = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        tensors = read_header(write(tmp_path, bytes(changed[: data.draw(st.integers(0, len(changed)))])))
    except BrokenCheckpointError:
        return
    assert all(t.end <= len(WHOLE) for t in tensors)
