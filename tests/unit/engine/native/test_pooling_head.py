"""SigLIP's pooling head in the extension: as attention by hand, and the same bits on every path."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from smallsight.engine.native.pooling_head import bind_pooling_head, pooling_obstacle
from smallsight.families.dual_encoder.model import VISION
from smallsight.families.siglip.model import open_siglip
from smallsight.families.siglip.pooling import read_pooling
from smallsight.machine.extension import find_extension
from smallsight.quant.forms import Storage, dense
from smallsight.quant.scheme import SCHEMES
from tiny_dual_encoder import DualShape, write_tiny_siglip

pytestmark = pytest.mark.skipif(bool(pooling_obstacle()), reason=pooling_obstacle())
SHAPES = {
    "groups of 64": DualShape(vision_hidden=128, vision_ffn=192, vision_heads=4, dimensions=128),
    "heads of 6, a part of a block": DualShape(
        vision_hidden=48, vision_ffn=80, vision_heads=8, dimensions=48
    ),
}
PATHS = ("plain", "avx2", "avx512", "amx", "dotprod", "i8mm")


@pytest.fixture(params=SHAPES)
def model(tmp_path, request):
    return open_siglip(write_tiny_siglip(tmp_path, SHAPES[request.param]), SCHEMES["fp32"])


def stored_in(model, form: Storage):
    weights = dict(model.store(VISION))
    is_matrix = {name: name.endswith(".weight") and weights[name].ndim == 2 for name in weights}
    return {name: form.store(value) if is_matrix[name] else value for name, value in weights.items()}


def hidden_states(model, seed=1):
    shape = model.config.num_patches, model.config.vision.hidden
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def vector_of(pooling, hidden_PD, path="auto"):
    vector_D = np.empty(hidden_PD.shape[1], np.float32)
    bind_pooling_head(pooling, path).run(hidden_PD, vector_D)
    return vector_D


@pytest.mark.parametrize("form", Storage)
@pytest.mark.parametrize("pool_heads", [None, 2])
def test_the_head_pools_as_attention_with_a_key_and_a_value_for_each_patch(model, form, pool_heads):
    stored, hidden_PD = stored_in(model, form), hidden_states(model)
    pooling = read_pooling(model.config, stored, pool_heads)
    expected_D = head_by_hand(stored, hidden_PD, pool_heads or model.config.vision.heads)
    # What is not stored as codes is rounded to bfloat16.
    rounds = form in {Storage.FP32, Storage.NF4, Storage.NF4_DOUBLE, Storage.FP4, Storage.FP4_DOUBLE}
    np.testing.assert_allclose(vector_of(pooling, hidden_PD), expected_D, atol=2e-3 if rounds else 1e-5)


@pytest.mark.parametrize("form", [Storage.INT8_GROUPS, Storage.BF16, Storage.INT8_ROWS, Storage.INT4_GROUPS])
def test_every_path_computes_the_same_bits(model, form):
    pooling = read_pooling(model.config, stored_in(model, form))
    module = find_extension().module
    paths = [path for path in PATHS if module.path_name(path) == path]
    assert len(paths) > 1
    for seed in range(3):
        hidden_PD = hidden_states(model, seed) * 10**seed
        expected_D = vector_of(pooling, hidden_PD, "plain")
        assert abs(np.linalg.norm(expected_D) - 1) < 1e-6
        for path in paths:
            np.testing.assert_array_equal(vector_of(pooling, hidden_PD, path), expected_D, err_msg=path)


def test_what_does_not_fit_is_refused():
    of = find_extension().module.PoolingHead
    for sizes in ((40, 64, 4, 9), (64, 40, 4, 9), (64, 64, 5, 9), (64, 64, 4, 0), (0, 64, 4, 9)):
        with pytest.raises(ValueError, match="multiples of 16"):
            of(*sizes, 1e-6)
    with pytest.raises(ValueError, match="does not run the path"):
        of(64, 64, 4, 9, 1e-6, "none")
    head = of(64, 64, 4, 9, 1e-6)
    codes, bias_D, vector_D = np.zeros((64, 64), np.int8), np.zeros(64, np.float32), np.zeros(64, np.float32)
    refused = [
        (partial(head.run, np.zeros((9, 64), np.float32), vector_D), "were not set"),
        (partial(head.run, np.zeros((8, 64), np.float32), vector_D), "head's sizes"),
        (partial(head.run, np.zeros((9, 64), np.float32), vector_D[:32]), "head's size"),
        (partial(head.set_queries, np.zeros((3, 64), np.float32)), "head's sizes"),
        (partial(head.set_norm, bias_D, bias_D[:1]), "head's size"),
        (partial(head.set_codes, 4, codes, np.ones((64, 1), np.float32), bias_D), "four matrices"),
        (partial(head.set_codes, 0, codes, np.ones((64, 8), np.float32), bias_D), "multiple of 16 codes"),
        (partial(head.set_codes, 0, codes[:32], np.ones((32, 1), np.float32), bias_D), "head's sizes"),
        (partial(head.set_halves, 0, codes.view(np.uint8).astype(np.uint16), bias_D[:9]), "head's size"),
    ]
    for call, message in refused:
        with pytest.raises(ValueError, match=message):
            call()


def head_by_hand(stored, hidden_PD, heads):
    def linear(name, rows):
        name = f"vision.pool.{name}"
        return rows @ dense(stored[f"{name}.weight"]).T + stored[f"{name}.bias"]

    keys_PD, values_PD = np.split(linear("attention", hidden_PD), 2, axis=1)
    pooled = []
    for query, keys, values in zip(
        np.split(stored["vision.pool.query"], heads),
        np.split(keys_PD, heads, axis=1),
        np.split(values_PD, heads, axis=1),
        strict=True,
    ):
        shares_P = np.exp(keys @ query / np.sqrt(len(query)))
        pooled.append(shares_P @ values / shares_P.sum())
    attended_D = linear("output", np.concatenate(pooled))
    centred_D = attended_D - attended_D.mean()
    normal_D = centred_D / np.sqrt((centred_D**2).mean() + 1e-6)
    normal_D = normal_D * stored["vision.pool.ffn_norm.weight"] + stored["vision.pool.ffn_norm.bias"]
    inner = linear("ffn_up", normal_D)
    inner *= (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3))) / 2
    vector_D = attended_D + linear("ffn_down", inner)
    return vector_D / np.linalg.norm(vector_D)
