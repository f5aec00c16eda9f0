from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from smallsight.families.minilm.config import read_config
from smallsight.families.minilm.graph import build_graph
from smallsight.families.minilm.weights import NOT_USED, read_weights
from smallsight.quant.scheme import EmbedderPrecision
from tiny_bert import Shape, change_tensors, random_tensors, write_tiny_bert

SHAPE = Shape(layers=1)
TOKEN_IDS = np.array([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]], np.int32)
MASK = (TOKEN_IDS > 0).astype(np.int32)


def vectors(
    folder: Path, token_ids: np.ndarray, mask: np.ndarray, precision: EmbedderPrecision = "fp32"
) -> np.ndarray:
    config = read_config(folder)
    weights = read_weights(folder / "model.safetensors", config)
    model = build_graph(config, weights, precision)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled([token_ids, mask])[0]


# The key's bias adds the same to all scores of a query, and softmax takes it out again.
FELT = [name for name in random_tensors(SHAPE) if name not in NOT_USED and not name.endswith("key.bias")]


@pytest.mark.mostly_slow(6)
@pytest.mark.parametrize("name", FELT)
def test_every_weight_is_felt_in_the_vector(tmp_path: Path, name: str):
    write_tiny_bert(tmp_path, SHAPE)
    before = vectors(tmp_path, TOKEN_IDS, MASK)
    generator = np.random.default_rng(7)
    tensor = random_tensors(SHAPE)[name]
    change_tensors(tmp_path, {name: tensor + generator.standard_normal(tensor.shape).astype(np.float32)})
    assert np.abs(vectors(tmp_path, TOKEN_IDS, MASK) - before).max() > 1e-3, f"{name} has no effect"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_padding_and_neighbours_do_not_matter(tmp_path: Path, precision: EmbedderPrecision):
    write_tiny_bert(tmp_path)
    together = vectors(tmp_path, TOKEN_IDS, MASK, precision)
    alone = vectors(tmp_path, TOKEN_IDS[1:, :3], MASK[1:, :3], precision)
    np.testing.assert_allclose(together[1], alone[0], atol=1e-5)
    other_padding = np.where(MASK == 1, TOKEN_IDS, 11).astype(np.int32)
    np.testing.assert_array_equal(vectors(tmp_path, other_padding, MASK, precision), together)


def test_vectors_have_length_one(tmp_path: Path):
    got = vectors(write_tiny_bert(tmp_path), TOKEN_IDS, MASK)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)


def test_int8_is_near_float32_but_not_the_same(tmp_path: Path):
    write_tiny_bert(tmp_path)
    exact, rounded = (vectors(tmp_path, TOKEN_IDS, MASK, precision) for precision in ("fp32", "int8"))
    cosines = (exact * rounded).sum(1)
    assert cosines.min() > 0.995
    assert np.abs(exact - rounded).max() > 1e-4, "int8 was not used"
