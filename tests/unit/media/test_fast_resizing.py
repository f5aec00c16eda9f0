"""Resizing in smallsight-kernels has Pillow's pixels, and without it Pillow resizes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from native_decoders import needs_extension, usable_paths
from smallsight.machine.extension import find_extension
from smallsight.media.fast_resizing import resize_in_steps

LANCZOS, BICUBIC = Image.Resampling.LANCZOS, Image.Resampling.BICUBIC


def picture(width, height):
    return np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), np.uint8)


def by_pillow(pixels, *sizes, resample=LANCZOS):
    image = Image.fromarray(pixels)
    for size in sizes:
        image = image.resize(size, resample)
    return np.asarray(image)


def some_sizes():
    values = np.random.default_rng(1)
    yield from ((1, 1, 9, 9), (640, 3, 17, 5), (64, 64, 49, 32), (31, 20, 46, 2), (1000, 750, 512, 384))
    for longest in (8, 60, 200):
        yield from (tuple(map(int, values.integers(1, longest, 4))) for _ in range(40))


@pytest.mark.parametrize("resample", [LANCZOS, BICUBIC], ids=["lanczos", "bicubic"])
def test_every_size_has_pillows_pixels(resample):
    for width, height, *size in some_sizes():
        pixels = picture(width, height)
        expected = by_pillow(pixels, size, resample=resample)
        for given in (pixels, Image.fromarray(pixels)):
            found = resize_in_steps(given, [tuple(size)], resample, threads=1)
            np.testing.assert_array_equal(found, expected, err_msg=f"{width} x {height} to {size}")


def test_several_sizes_follow_one_another():
    pixels, sizes = picture(400, 300), [(204, 154), (204, 154), (64, 128)]
    np.testing.assert_array_equal(resize_in_steps(pixels, sizes, LANCZOS), by_pillow(pixels, *sizes))


def test_another_filter_is_left_to_pillow():
    pixels, box = picture(40, 30), Image.Resampling.BOX
    expected = by_pillow(pixels, (20, 20), resample=box)
    np.testing.assert_array_equal(resize_in_steps(pixels, [(20, 20)], box), expected)


@needs_extension
def test_every_path_and_number_of_threads_has_the_same_pixels():
    module, pixels = find_extension().module, picture(333, 257)
    for path in usable_paths():
        for threads in (1, 2, 5):
            found = np.empty((100, 171, 3), np.uint8)
            module.resize(pixels, found, False, threads, path)
            np.testing.assert_array_equal(found, by_pillow(pixels, (171, 257), (171, 100)), err_msg=path)


@needs_extension
def test_pictures_without_pixels_or_colours_are_refused():
    module = find_extension().module
    for shape in ((0, 4, 3), (4, 4, 1)):
        with pytest.raises(ValueError, match="pictures are"):
            module.resize(np.empty(shape, np.uint8), np.empty((2, 2, 3), np.uint8), False, 1)


def test_without_the_extension_pillow_resizes(monkeypatch):
    monkeypatch.setitem(sys.modules, "smallsight_kernels", None)
    find_extension.cache_clear()
    try:
        pixels = picture(40, 30)
        found = resize_in_steps(pixels, [(20, 20)], LANCZOS)
        np.testing.assert_array_equal(found, by_pillow(pixels, (20, 20)))
    finally:
        find_extension.cache_clear()
