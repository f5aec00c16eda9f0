"""Picture embeddings whose tower the extension computes: like OpenVINO's, and the same in any company."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import openvino as ov
import pytest

from smallsight.engine.embedding import load_picture_embedder
from smallsight.engine.native.picture_tower import product_number
from smallsight.engine.native.tile_encoder import bf16_obstacle, encoder_obstacle
from smallsight.families.dual_encoder.model import VISION
from smallsight.families.siglip.graphs import build_head_graph
from smallsight.families.siglip.model import open_siglip
from smallsight.quant.forms import Storage, dense
from smallsight.quant.scheme import SCHEMES
from tiny_dual_encoder import DualShape, draw_odd_pictures, write_tiny_clip, write_tiny_siglip

needs_kernels = pytest.mark.skipif(bool(encoder_obstacle()), reason=encoder_obstacle())
WIDE = DualShape(vision_hidden=64, vision_ffn=128, vision_layers=3, dimensions=64)
LEAST_COSINE = {"bf16": 0.9995, "int8": 0.998}


@needs_kernels
@pytest.mark.parametrize("precision", LEAST_COSINE)
def test_vectors_are_nearly_those_of_openvino_in_fp32(tmp_path, precision, capsys):
    folder, pictures = write_tiny_siglip(tmp_path, WIDE), draw_odd_pictures(40)
    expected = load_picture_embedder(folder, "fp32", threads=1).embed_pictures(pictures)
    embedder = load_picture_embedder(folder, precision, threads=1, uses_kernels=True)
    cosines = (embedder.embed_pictures(pictures) * expected).sum(axis=1)
    assert cosines.min() > LEAST_COSINE[precision]
    reason = bf16_obstacle() if precision == "bf16" else ""
    assert (reason or "picture_kernels_used") in "".join(capsys.readouterr())


@needs_kernels
def test_a_vector_does_not_depend_on_threads_nor_on_what_is_embedded_with_it(tmp_path):
    folder, pictures = write_tiny_siglip(tmp_path), draw_odd_pictures(17)
    alone = load_picture_embedder(folder, threads=1, uses_kernels=True)
    at_once = load_picture_embedder(folder, threads=3, uses_kernels=True)
    expected = [alone.embed_pictures([one])[0] for one in reversed(pictures)][::-1]
    np.testing.assert_array_equal(at_once.embed_pictures(pictures), expected)
    several = load_picture_embedder(folder, threads=9, uses_kernels=True)  # two threads for each picture
    np.testing.assert_array_equal(several.embed_pictures(pictures), expected)


@pytest.mark.parametrize(
    ("write", "precision", "reason"),
    [(write_tiny_clip, "int8", "another tower"), (write_tiny_siglip, "fp32", "computes in f32")],
)
def test_what_the_extension_does_not_compute_is_left_to_openvino(tmp_path, write, precision, reason, capsys):
    folder, pictures = write(tmp_path), draw_odd_pictures(3)
    expected = load_picture_embedder(folder, precision, threads=1).embed_pictures(pictures)
    capsys.readouterr()
    embedder = load_picture_embedder(folder, precision, threads=1, uses_kernels=True)
    np.testing.assert_array_equal(embedder.embed_pictures(pictures), expected)
    printed = "".join(capsys.readouterr())
    assert "picture_kernels_not_used" in printed
    assert (encoder_obstacle() or reason) in printed


def test_integers_stay_integers_and_other_numbers_become_bf16():
    matrix = np.random.default_rng(0).standard_normal((32, 128), np.float32)
    for form in Storage:
        stored = form.store(matrix)
        assert product_number(stored, "avx512") == ("int8" if form.is_integer else "bf16")
        assert product_number(stored, "avx2") == ("int7" if form.is_integer else "bf16")


@pytest.mark.parametrize("pool_heads", [None, 8])
def test_the_head_pools_as_attention_with_a_key_and_a_value_for_each_patch(tmp_path, pool_heads):
    model = open_siglip(write_tiny_siglip(tmp_path, replace(WIDE, vision_heads=4)), SCHEMES["fp32"])
    stored = dict(model.store(VISION))
    hidden_PD = np.random.default_rng(1).standard_normal((16, 64), np.float32)
    compiled = ov.compile_model(
        partial(build_head_graph, pool_heads=pool_heads)(model.config, stored),
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32"},
    )
    found_D = compiled([hidden_PD[None]])[0][0]
    np.testing.assert_allclose(found_D, head_by_hand(stored, hidden_PD, pool_heads or 4), atol=1e-5)


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
