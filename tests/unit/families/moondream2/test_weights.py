"""Upstream names."""

from __future__ import annotations

import pytest

from smallsight.families.moondream2.config import read_config
from smallsight.families.moondream2.shapes import tensor_shapes_of
from smallsight.families.moondream2.weights import upstream_name
from tiny_moondream2 import SHAPES, config_of, make_tokenizer, random_tensors, write_tiny_moondream2


@pytest.mark.parametrize(
    ("ours", "upstream"),
    [
        ("vision.patches.weight", "model.vision.patch_emb.weight"),
        ("vision.positions", "model.vision.pos_emb"),
        ("vision.layers.26.attention_norm.bias", "model.vision.blocks.26.ln1.bias"),
        ("connector.down.bias", "model.vision.proj_mlp.fc2.bias"),
        ("embeddings.weight", "model.text.wte"),
        ("text.layers.3.query_key_value.weight", "model.text.blocks.3.attn.qkv.weight"),
        ("text.layers.0.norm.weight", "model.text.blocks.0.ln.weight"),
        ("head.bias", "model.text.lm_head.bias"),
        ("region.coordinate_frequencies", "model.region.coord_features"),
        ("region.size_decoder_up.weight", "model.region.size_decoder.fc1.weight"),
    ],
)
def test_tensors_have_their_published_names(ours, upstream):
    assert upstream_name(ours) == upstream


def test_names_are_those_of_a_whole_checkpoint(tmp_path):
    import numpy as np

    folder = write_tiny_moondream2(tmp_path / "model", SHAPES[0])
    tokenizer = make_tokenizer()
    assert config_of(SHAPES[0], tokenizer)["model_type"] == "moondream1"
    held = random_tensors(SHAPES[0], tokenizer, np.random.default_rng(0))
    names = [upstream_name(one.name) for one in tensor_shapes_of(read_config(folder).sizes())]
    assert sorted(names) == sorted(held)
