"""Patches of images."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.families import patches as module
from smallsight.families.patches import value_patches
from smallsight.machine.extension import Extension, find_extension


@pytest.fixture(params=["extension", "numpy"])
def _code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "numpy":
        monkeypatch.setattr(module, "find_extension", lambda: Extension(None))
    elif not hasattr(find_extension().module, "cut_patches"):
        pytest.skip("no extension here cuts patches")


@pytest.mark.usefixtures("_code")
def test_patches_are_in_reading_order_and_channels_come_first() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    tables = [np.arange(256, dtype=np.float32) * factor for factor in (1, 10, 100)]
    patches = value_patches(pixels, tables, 2)
    assert patches.shape == (1, 6, 12)
    assert patches.dtype == np.float32
    fifth = [pixels[2:4, 2:4, channel].reshape(-1) * np.float32(10**channel) for channel in range(3)]
    np.testing.assert_array_equal(patches[0, 4], np.concatenate(fifth))


@pytest.mark.usefixtures("_code")
def test_a_part_of_a_picture_has_the_same_patches_as_its_copy() -> None:
    whole = np.random.default_rng(1).integers(0, 256, (80, 96, 3), np.uint8)
    part = whole[16:64, 32:80]
    tables = list(np.random.default_rng(2).standard_normal((3, 256), np.float32))
    found = value_patches(part, tables, 16)
    np.testing.assert_array_equal(found, value_patches(part.copy(), tables, 16))
    level = part[16 + 3, 32 + 5, 1]  # of the patch in the second row and third column
    assert found[0, 5, 256 + 3 * 16 + 5] == tables[1][level]
