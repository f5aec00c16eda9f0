"""What config.json says: everything published when it says nothing, and a sentence for another network."""

from __future__ import annotations

import json

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.moondream2.config import read_config
from smallsight.families.moondream2.shapes import Moondream2Sizes


@pytest.fixture
def read(tmp_path):
    def read_one(config=None, model_type="moondream1"):
        described = {"model_type": model_type} | ({} if config is None else {"config": config})
        (tmp_path / "config.json").write_text(json.dumps(described))
        return read_config(tmp_path)

    return read_one


@pytest.mark.parametrize("config", [None, {}])
def test_the_published_file_says_nothing_and_the_catalogue_agrees(read, config):
    published = read(config)
    assert published.sizes() == Moondream2Sizes(**load_catalog().find("moondream2").architecture.sizes)
    assert (published.tokens_per_image, published.prefix_tokens) == (729, 730)
    assert (published.begin_token_id, published.end_token_id) == (50256, 50256)
    assert (published.text.head_dim, published.text.rotated_dims) == (64, 32)
    assert (published.vision.step_px, published.vision.margin_px) == (266, 56)
    assert published.templates.captions["short"] == (198, 198, 16438, 8305, 25)
    assert published.templates.around["detect"] == ((198, 198, 47504, 25), (628,))
    assert published.image_token_id >= published.text.vocabulary


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"text": {"dim": "wide"}}, "text.dim 'wide', expected an integer"),
        ({"text": {"n_layers": 0}}, "n_layers 0"),
        ({"text": []}, r"text \[\], expected an object"),
        ([], "config .., expected an object"),
        ({"vision": {"crop_size": 379}}, "crop_size is a multiple of enc_patch_size"),
        ({"vision": {"overlap_margin": 14}}, "crops are wider than their margins"),
        ({"vision": {"enc_n_heads": 7}}, "enc_dim is a multiple"),
        ({"vision": {"in_channels": 4}}, "in_channels is 3"),
        ({"text": {"n_heads": 31}}, "half of a decoder head"),
        ({"region": {"dim": 1024}}, "Not true: .* are equal"),
        ({"region": {"size_out_dim": 2047}}, "size bins are even"),
        ({"tokenizer": {"eos_id": 51200}}, "are in the vocabulary"),
        ({"text": {"max_context": 730}}, "fits in max_context"),
        ({"tokenizer": {"templates": {}}}, "invalid prompt templates: 'caption'"),
        ({"tokenizer": {"templates": "no"}}, "invalid prompt templates"),
    ],
)
def test_sizes_that_cannot_be_are_refused(read, config, words):
    with pytest.raises(BrokenCheckpointError, match=words):
        read(config)


@pytest.mark.parametrize(
    ("config", "model_type", "words"),
    [
        ({}, "phi", "describes a 'phi', expected moondream1 or moondream"),
        ({"text": {"n_kv_heads": 8}}, "moondream1", "text.n_kv_heads, which moondream2 of 2025-01-09"),
        ({"text": {"prefix_attn": 0}}, "moondream1", "prefix_attn 0; only 730"),
    ],
)
def test_other_networks_are_refused_by_name(read, config, model_type, words):
    with pytest.raises(ModelNotRunnableError, match=words):
        read(config, model_type)


def test_a_template_outside_the_vocabulary_is_refused(read):
    pair = {"prefix": [1], "suffix": [2]}
    templates = {
        "caption": {"short": [1], "normal": [99_999]},
        **dict.fromkeys(("query", "detect", "point"), pair),
    }
    with pytest.raises(BrokenCheckpointError, match="99999"):
        read({"tokenizer": {"templates": templates}})
