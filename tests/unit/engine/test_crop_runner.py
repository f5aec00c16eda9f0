"""One crop at a time: pictures take turns without mixing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from smallsight.engine.crop_runner import CropRunner
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.openvino.moondream2_networks import CompiledCropNetworks
from smallsight.families.messages import Detail, Tile
from smallsight.families.moondream2.model import Moondream2Model
from smallsight.graph.compiled import CompiledNetwork, compile_network
from smallsight.quant.scheme import SCHEMES
from tiny_moondream2 import SHAPES, write_tiny_moondream2


@dataclass(frozen=True)
class Parts:
    model: Moondream2Model
    tower: CompiledNetwork
    connector: CompiledNetwork
    stored: dict


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = write_tiny_moondream2(tmp_path_factory.mktemp("moondream2") / "tiny", SHAPES[0])
    model = Moondream2Model(folder, SCHEMES["fp32"])
    stored = dict(model.store())
    tower, connector = (
        compile_network(lambda graph=graph: graph(stored), threads=1)
        for graph in (model.tower_graph, model.connector_graph)
    )
    return Parts(model, tower, connector, stored)


def runner(parts, cache_bytes=1 << 20, crops_at_once=1):
    return CropRunner(
        CompiledCropNetworks(parts.tower, parts.connector),
        parts.model.processor.to_patches,
        FeatureCache(cache_bytes),
        margin_patches=parts.model.config.vision.margin_patches,
        crops_at_once=crops_at_once,
    )


def picture(parts, seed):
    values = np.random.default_rng(seed).integers(0, 256, (150, 150, 3), np.uint8)
    return parts.model.processor.prepare(Image.fromarray(values), "?", "query", Detail.HIGH).tiles[0]


def test_each_call_looks_at_one_crop(parts):
    vision, tile = runner(parts), picture(parts, 0)
    assert tile.num_crops == 5
    assert vision.known(tile) is None
    made = [vision.encode([tile]) for _ in range(5)]
    assert [one is None for one in made] == [True] * 4 + [False]
    assert made[-1][0].shape == (81, 64)
    np.testing.assert_array_equal(vision.known(tile), made[-1][0])


def test_several_crops_at_once_make_the_same_image_tokens(parts):
    tile = picture(parts, 0)
    vision = runner(parts)
    one_by_one = [vision.encode([tile]) for _ in range(5)][-1]
    for at_once, calls in ((2, 3), (5, 1), (99, 1)):
        vision = runner(parts, crops_at_once=at_once)
        made = [vision.encode([tile]) for _ in range(calls)]
        assert [one is None for one in made] == [True] * (calls - 1) + [False]
        np.testing.assert_allclose(made[-1], one_by_one, atol=1e-4)


def test_a_picture_given_up_leaves_nothing_behind(parts):
    vision = runner(parts, cache_bytes=0)  # each time it is looked at
    first, second = picture(parts, 1), picture(parts, 2)
    alone = [vision.encode([second]) for _ in range(5)][-1]
    for _ in range(3):
        vision.encode([first])
    between = [vision.encode([second]) for _ in range(5)]
    assert [one is None for one in between] == [True] * 4 + [False]
    np.testing.assert_array_equal(between[-1], alone)


def test_a_tile_of_another_family_is_refused(parts):
    with pytest.raises(TypeError, match="Tile has no crops"):
        runner(parts).encode([Tile(np.zeros((36, 36, 3), np.uint8), b"x")])
