"""Picture embeddings whose tower the extension computes: like OpenVINO's, and the same in any company."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest

from smallsight.engine.embedding import load_picture_embedder
from smallsight.engine.native.picture_tower import product_number
from smallsight.engine.native.pooling_head import pooling_obstacle
from smallsight.engine.native.tile_encoder import bf16_obstacle, encoder_obstacle
from smallsight.graph.activation import Activation
from smallsight.quant.forms import Storage
from tiny_dual_encoder import DualShape, draw_odd_pictures, write_tiny_clip, write_tiny_siglip

obstacle = encoder_obstacle() or pooling_obstacle()
needs_kernels = pytest.mark.skipif(bool(obstacle), reason=obstacle)
WIDE = DualShape(vision_hidden=64, vision_ffn=128, vision_layers=3, dimensions=64)
LEAST_COSINE = {"bf16": 0.9995, "int8": 0.998}
WRITERS = [write_tiny_siglip, write_tiny_clip]


@needs_kernels
@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("precision", LEAST_COSINE)
def test_vectors_are_nearly_those_of_openvino_in_fp32(tmp_path, write, precision, capsys):
    folder, pictures = write(tmp_path, WIDE), draw_odd_pictures(40)
    expected = load_picture_embedder(folder, "fp32", threads=1).embed_pictures(pictures)
    embedder = load_picture_embedder(folder, precision, threads=1, uses_kernels=True)
    cosines = (embedder.embed_pictures(pictures) * expected).sum(axis=1)
    assert cosines.min() > LEAST_COSINE[precision]
    reason = bf16_obstacle() if precision == "bf16" else ""
    assert (reason or "picture_kernels_used") in "".join(capsys.readouterr())


@needs_kernels
@pytest.mark.parametrize("write", WRITERS)
def test_a_vector_does_not_depend_on_threads_nor_on_what_is_embedded_with_it(tmp_path, write):
    folder, pictures = write(tmp_path), draw_odd_pictures(17)
    alone = load_picture_embedder(folder, threads=1, uses_kernels=True)
    at_once = load_picture_embedder(folder, threads=3, uses_kernels=True)
    expected = [alone.embed_pictures([one])[0] for one in reversed(pictures)][::-1]
    np.testing.assert_array_equal(at_once.embed_pictures(pictures), expected)
    several = load_picture_embedder(folder, threads=9, uses_kernels=True)  # two threads for each picture
    np.testing.assert_array_equal(several.embed_pictures(pictures), expected)


def write_narrow_clip(folder):
    return write_tiny_clip(folder, DualShape(vision_hidden=40))


@needs_kernels
@pytest.mark.parametrize("activation", get_args(Activation))
def test_clips_with_any_activation_are_nearly_those_of_openvino(tmp_path, activation):
    folder, pictures = write_tiny_clip(tmp_path, WIDE), draw_odd_pictures(9)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["vision_config"]["hidden_act"] = activation
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    expected = load_picture_embedder(folder, "fp32", threads=1).embed_pictures(pictures)
    found = load_picture_embedder(folder, "int8", threads=1, uses_kernels=True).embed_pictures(pictures)
    assert (found * expected).sum(axis=1).min() > LEAST_COSINE["int8"]


@pytest.mark.parametrize(
    ("write", "precision", "reason"),
    [
        (write_narrow_clip, "int8", "multiples of 16"),
        (write_tiny_clip, "fp32", "computes in f32"),
        (write_tiny_siglip, "fp32", "computes in f32"),
    ],
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
