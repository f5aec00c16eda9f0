"""Smallsight-tiny-looks against the network in torch: a random head on the shipped tower, and texts."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from training.look_features import Tower
from training.look_network import Looks, LookSizes
from training.ship_looks import write_folder
from training.train_looks import make_tokenizer, token_ids

from smallsight.engine.embedding import load_picture_embedder
from tiny_dual_encoder import draw_odd_pictures

LEAST_COSINE = {"fp32": 0.99999, "bf16": 0.998, "int8": 0.99}
TEXTS = [
    "owl",
    "",
    "A red OWL, on a blue background!",
    "zebra über 猫",
    "two " * 30,
    "\ud800 cat",
    "owls and cats",
]


@pytest.fixture(scope="module")
def trained() -> Looks:
    torch.manual_seed(1)
    looks = Looks(LookSizes(make_tokenizer().get_vocab_size()))
    with torch.no_grad():
        for parameter in looks.parameters():
            parameter.copy_(parameter.bfloat16().float())  # as they are stored
    return looks


@pytest.fixture(scope="module")
def folder(trained: Looks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("drawings")
    write_folder({"sizes": trained.sizes, "weights": trained.state_dict()}, made)
    return made


@pytest.mark.parametrize("precision", LEAST_COSINE)
def test_vectors_are_those_of_the_trained_network(trained: Looks, folder: Path, precision: str):
    embedder = load_picture_embedder(folder, precision, threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        images = [image.convert("RGBA").convert("RGB") for image in draw_odd_pictures(40)]
    tower = Tower()
    with torch.inference_mode():
        patches = torch.from_numpy(np.stack([tower.patches(image) for image in images]))
        pictures_ND = trained.pictures(patches).numpy()
        ids = token_ids(make_tokenizer(), [text.encode("utf-8", "replace").decode() for text in TEXTS], 12)
        texts_ND = trained.texts(ids).numpy()
    least = LEAST_COSINE[precision]
    assert (embedder.embed_pictures(images) * pictures_ND).sum(1).min() >= least
    assert (embedder.embed_texts(TEXTS) * texts_ND).sum(1).min() >= least


def test_the_least_similarity_is_where_the_chance_is_even(trained: Looks, folder: Path):
    least = load_picture_embedder(folder, "fp32", threads=1).min_similarity
    with torch.inference_mode():
        logit = least * trained.scale.exp() + trained.bias
    assert float(torch.sigmoid(logit)) == pytest.approx(0.5, abs=1e-3)
