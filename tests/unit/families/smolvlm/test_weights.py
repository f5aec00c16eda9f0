"""Which tensors count, as in transformers 5.24."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from smallsight.families.smolvlm.config import read_config
from smallsight.families.smolvlm.weights import SmolVLMWeights
from tiny_smolvlm import SHAPES, make_checkpoint

TIED = next(shape for shape in SHAPES if shape.name == "tied")


@pytest.fixture
def folder(tmp_path):
    return make_checkpoint(tmp_path / "model", TIED)


def head_of(folder) -> np.ndarray:
    config = read_config(folder)
    assert config.is_tied
    return SmolVLMWeights([folder / "model.safetensors"], config).take_head()


def test_a_tied_head_is_the_embedding_table(folder):
    table = load_file(folder / "model.safetensors")["model.text_model.embed_tokens.weight"]
    np.testing.assert_array_equal(head_of(folder), table)


def test_a_head_in_the_file_counts_although_the_configuration_ties_it(folder):
    """Fine-tuning the head alone leaves ``tie_word_embeddings`` as it was."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    trained = tensors["model.text_model.embed_tokens.weight"] + np.float32(0.5)
    save_file({**tensors, "lm_head.weight": trained}, path)
    np.testing.assert_array_equal(head_of(folder), trained)
