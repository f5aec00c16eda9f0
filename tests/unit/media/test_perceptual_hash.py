from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from smallsight.media.perceptual_hash import dhash, hamming_distance, phash


def distance(a: int, b: int) -> int:
    return (a ^ b).bit_count()


@pytest.fixture
def others(scene, encode):
    """The same picture after things that happen to pictures."""
    return {
        "smaller": scene.resize((200, 150), Image.Resampling.LANCZOS),
        "larger": scene.resize((900, 675), Image.Resampling.BICUBIC),
        "grey": scene.convert("L"),
        "re-encoded": Image.open(io.BytesIO(encode(scene, "JPEG", quality=30))),
    }


@pytest.mark.parametrize("hash_of", [phash, dhash])
def test_the_same_picture_stays_near(scene, others, hash_of):
    original = hash_of(np.asarray(scene))
    assert 0 <= original < 2**64
    for name, other in others.items():
        assert distance(original, hash_of(np.asarray(other))) <= 6, name


@pytest.mark.parametrize("hash_of", [phash, dhash])
def test_another_picture_is_far(scene, hash_of):
    turned = scene.transpose(Image.Transpose.ROTATE_90)
    assert distance(hash_of(np.asarray(scene)), hash_of(np.asarray(turned))) > 16


def test_dhash_by_hand():
    rising_HW = np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1))
    assert dhash(rising_HW) == 2**64 - 1
    assert dhash(rising_HW[:, ::-1]) == 0
    one_step_HW = np.zeros((8, 9), np.uint8)
    one_step_HW[0, 1:] = 200
    assert dhash(one_step_HW) == 1 << 63


def test_phash_against_the_formula(scene):
    """The hash from the textbook double sum over a 32 x 32 picture."""
    grey_HW = np.asarray(scene.convert("L").resize((32, 32)), dtype=np.float64)
    samples = np.arange(32)
    coefficients = np.zeros((8, 8))
    for u in range(8):
        for v in range(8):
            waves = np.outer(
                np.cos(np.pi * u * (2 * samples + 1) / 64), np.cos(np.pi * v * (2 * samples + 1) / 64)
            )
            scale = (np.sqrt(0.5) if u == 0 else 1) * (np.sqrt(0.5) if v == 0 else 1) / 16
            coefficients[u, v] = scale * (waves * grey_HW).sum()
    bits = (np.round(coefficients, 3) > np.median(np.round(coefficients, 3))).ravel()
    expected = int("".join("1" if bit else "0" for bit in bits), 2)
    assert phash(grey_HW.astype(np.uint8)) == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 3), (1, 1, 3), (33, 17, 3)])
def test_flat_pictures_of_any_shape_hash_alike(shape):
    for value in (1, 77, 255):
        flat = np.full(shape, value, np.uint8)
        assert phash(flat) == 1 << 63
        assert dhash(flat) == 0


def test_hamming_distance():
    hashes_N = np.array([0, 1, 2**64 - 1, 0xF0F0], dtype=np.uint64)
    distances_N = hamming_distance(0xF0F0, hashes_N)
    assert distances_N.dtype == np.uint8
    assert distances_N.tolist() == [8, 9, 56, 0]
    assert hamming_distance(2**64 - 1, hashes_N).tolist() == [64, 63, 0, 56]
