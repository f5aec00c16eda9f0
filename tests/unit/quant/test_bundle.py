"""Stored weights on disk: what goes in comes out, and damage is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.quant.bundle import Bundle, BundleWriter, stored_bytes
from smallsight.quant.forms import Storage

MATRIX = np.random.default_rng(0).standard_normal((6, 64)).astype(np.float32)


def arrays_of(stored):
    return [stored] if isinstance(stored, np.ndarray) else list(vars(stored).values())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "made" / "one.weights"
    with BundleWriter(path) as writer:
        for storage in Storage:
            writer.add(storage, storage.store(MATRIX))
        writer.add("vector", MATRIX[0, :5])
    return path


def test_every_form_comes_back(path):
    bundle = Bundle(path)
    assert set(bundle) == {*Storage, "vector"}
    for storage in Storage:
        expected, got = storage.store(MATRIX), bundle[storage]
        assert type(got) is type(expected)
        for one, other in zip(arrays_of(got), arrays_of(expected), strict=True):
            np.testing.assert_array_equal(one, other)
        assert stored_bytes(got) == stored_bytes(expected)
    np.testing.assert_array_equal(bundle["vector"], MATRIX[0, :5])


def test_pages_given_back_are_read_again(path):
    bundle = Bundle(path)
    view = bundle[Storage.FP32]
    bundle.release_pages()
    np.testing.assert_array_equal(view, MATRIX)


def test_an_error_while_writing_leaves_nothing(tmp_path):
    path = tmp_path / "one.weights"
    with pytest.raises(RuntimeError), BundleWriter(path) as writer:
        writer.add("x", MATRIX)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "mark"])
def test_damage_is_noticed(path, damage):
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[:-100]
    elif damage == "empty":
        data = bytearray()
    elif damage == "flip":
        data[70] ^= 1
    else:
        data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"truncated|checksum"):
        Bundle(path)


def test_absent_is_not_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        Bundle(tmp_path / "none.weights")
