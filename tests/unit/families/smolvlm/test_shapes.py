"""SmolVLM's tensors, counted by hand where it is easy."""

from __future__ import annotations

from smallsight.catalog.catalog import load_catalog
from smallsight.families.smolvlm.shapes import kv_cache_bytes, tensor_shapes
from smallsight.families.tensor_shape import Role

SIZES = load_catalog().find("SmolVLM-256M-Instruct").architecture.sizes


def by_name(sizes):
    return {tensor.name: tensor.shape for tensor in tensor_shapes(sizes)}


def test_the_256m_has_exactly_the_published_parameters():
    assert sum(tensor.num_values for tensor in tensor_shapes(SIZES)) == 256_484_928


def test_the_connector_takes_sixteen_patches_at_once():
    assert by_name(SIZES)["connector.weight"] == (576, 12288)


def test_keys_and_values_are_shared_by_three_queries():
    shapes = by_name(SIZES)
    assert shapes["text.layers.0.query.weight"] == (576, 576)
    assert shapes["text.layers.29.key.weight"] == shapes["text.layers.29.value.weight"] == (192, 576)
    assert "text.layers.30.key.weight" not in shapes


def test_the_tower_sees_1024_patches():
    shapes = by_name(SIZES)
    assert shapes["vision.positions"] == (1024, 768)
    assert shapes["vision.patches.weight"] == (768, 3, 16, 16)


def test_a_tied_head_is_not_counted_twice():
    tied = {**SIZES, "is_tied": True}
    head = [tensor for tensor in tensor_shapes(SIZES) if tensor.role is Role.HEAD]
    assert [tensor.shape for tensor in head] == [(49280, 576)]
    assert set(by_name(SIZES)) - set(by_name(tied)) == {"head.weight"}


def test_the_cache_of_a_full_context():
    assert kv_cache_bytes(SIZES) == 30 * 8192 * (192 + 192) * 2
