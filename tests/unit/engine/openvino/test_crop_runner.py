"""One crop at a time: pictures take turns without mixing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.openvino.crop_runner import CropRunner
from smallsight.engine.openvino.moondream2 import load_moondream2
from smallsight.families.messages import Detail, Tile
from smallsight.families.patches import cut_patches
from tiny_moondream2 import SHAPES, write_tiny_moondream2


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = write_tiny_moondream2(tmp_path_factory.mktemp("moondream2") / "tiny", SHAPES[0])
    loaded = load_moondream2(folder, "fp32", threads=1)
    yield loaded
    loaded.close()


def runner(engine, cache_bytes=1 << 20):
    processor, config = engine.processor, engine.processor.config.vision
    return CropRunner(
        (engine.networks.tower, engine.networks.connector),
        lambda pixels_HWC: cut_patches(processor.normalise(pixels_HWC), config.patch_px),
        FeatureCache(cache_bytes),
        margin_patches=config.margin_patches,
    )


def picture(engine, seed):
    values = np.random.default_rng(seed).integers(0, 256, (150, 150, 3), np.uint8)
    return engine.processor.prepare(Image.fromarray(values), "?", "query", Detail.HIGH).tiles[0]


def test_each_call_looks_at_one_crop(engine):
    vision, tile = runner(engine), picture(engine, 0)
    assert tile.num_crops == 5
    assert vision.find(tile) is None
    made = [vision.encode(tile) for _ in range(5)]
    assert [one is None for one in made] == [True] * 4 + [False]
    assert made[-1].shape == (81, 64)
    np.testing.assert_array_equal(vision.find(tile), made[-1])


def test_a_picture_given_up_leaves_nothing_behind(engine):
    vision = runner(engine, cache_bytes=0)  # each time it is looked at
    first, second = picture(engine, 1), picture(engine, 2)
    alone = [vision.encode(second) for _ in range(5)][-1]
    for _ in range(3):
        vision.encode(first)
    between = [vision.encode(second) for _ in range(5)]
    assert [one is None for one in between] == [True] * 4 + [False]
    np.testing.assert_array_equal(between[-1], alone)


def test_a_tile_of_another_family_is_refused(engine):
    with pytest.raises(TypeError, match="Tile has no crops"):
        runner(engine).encode(Tile(np.zeros((36, 36, 3), np.uint8), b"x"))
