"""moondream2's tensors, counted by hand where it is easy."""

from __future__ import annotations

from smallsight.catalog.catalog import load_catalog
from smallsight.families.moondream2.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.tensor_shape import Role

SIZES = load_catalog().find("moondream2").architecture.sizes


def by_name():
    return {tensor.name: tensor.shape for tensor in tensor_shapes(SIZES)}


def test_one_norm_per_text_layer_and_two_per_vision_layer():
    shapes = by_name()
    assert [n for n in shapes if n.startswith("text.layers.0.") and "norm" in n and n.endswith("weight")] == [
        "text.layers.0.norm.weight"
    ]
    assert len([n for n in shapes if n.startswith("vision.layers.0.") and "norm" in n]) == 4


def test_a_picture_is_27_by_27_patches():
    assert by_name()["vision.positions"] == (729, 1152)
    assert by_name()["vision.patches.weight"] == (1152, 14 * 14 * 3)


def test_the_connector_joins_crops_and_the_whole_picture():
    assert by_name()["connector.up.weight"] == (8192, 2304)
    assert by_name()["connector.down.weight"] == (2048, 8192)


def test_the_region_head_reads_and_writes_places():
    shapes = by_name()
    assert shapes["region.coordinate_encoder.weight"] == (2048, 256)
    assert shapes["region.coordinate_decoder_down.weight"] == (1024, 8192)
    assert shapes["region.size_frequencies"] == (2, 256)


def test_the_head_is_its_own_matrix_with_a_bias():
    head = [t.shape for t in tensor_shapes(SIZES) if t.role is Role.HEAD]
    assert head == [(51200, 2048), (51200,)]


def test_the_cache_is_384_mebibytes():
    assert kv_cache_bytes(SIZES) == 384 * 1024**2
