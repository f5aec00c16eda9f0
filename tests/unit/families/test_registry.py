"""Every architecture of the catalogue is listed tensor by tensor, and the totals are the published ones."""

from __future__ import annotations

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Architecture
from smallsight.errors import ModelNotRunnableError
from smallsight.families.registry import FAMILIES, find_family, tensor_shapes
from smallsight.families.tensor_shape import Role, Use

CATALOG = load_catalog()
ARCHITECTURES = {e.architecture.name: e.architecture for e in CATALOG.entries if e.architecture is not None}
EACH = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)

# What the publishers say: model cards and the hub's own count of the safetensors files.
PUBLISHED = {
    "smolvlm-256m": 256.5e6,
    "smolvlm-500m": 507.5e6,
    "florence-2-base": 0.23e9,
    "florence-2-large": 0.77e9,
    "moondream2": 1.93e9,
}


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_the_count_is_the_published_one(name, published):
    counted = sum(tensor.num_values for tensor in tensor_shapes(ARCHITECTURES[name]))
    assert abs(counted / published - 1) < 0.02


def test_our_own_model_stays_small():
    counted = sum(tensor.num_values for tensor in tensor_shapes(ARCHITECTURES["smallsight-tiny"]))
    assert 1e6 < counted < 10e6


@EACH
def test_every_tensor_has_its_own_name_and_a_real_shape(architecture):
    tensors = tensor_shapes(architecture)
    assert len({tensor.name for tensor in tensors}) == len(tensors)
    assert all(size > 0 for tensor in tensors for size in tensor.shape)


@EACH
def test_what_is_quantised_is_a_matrix(architecture):
    for tensor in tensor_shapes(architecture):
        if tensor.use is not Use.OTHER:
            assert len(tensor.shape) == 2
            assert tensor.name.endswith(".weight")


@EACH
def test_every_part_of_a_model_is_there(architecture):
    roles = {tensor.role for tensor in tensor_shapes(architecture)}
    assert {Role.VISION, Role.CONNECTOR, Role.EMBEDDINGS, Role.TEXT} <= roles
    assert [t.name for t in tensor_shapes(architecture) if t.use is Use.LOOKUP] == ["embeddings.weight"]


@EACH
def test_every_catalogued_family_has_code(architecture):
    assert architecture.family in FAMILIES
    assert FAMILIES[architecture.family].kv_cache_bytes(architecture.sizes) > 0


def test_model_types_name_families_with_code():
    assert set(CATALOG.model_types.values()) == set(FAMILIES)


def test_an_unknown_family_is_a_sentence():
    with pytest.raises(ModelNotRunnableError, match="does not support the model family 'llava'"):
        find_family("llava")
    with pytest.raises(ModelNotRunnableError):
        tensor_shapes(Architecture("x", "llava", {}))
