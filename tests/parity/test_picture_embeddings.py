"""The picture embedders against transformers: tiny random checkpoints, pictures of all modes, and texts."""

from __future__ import annotations

import itertools
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPImageProcessorPil, CLIPModel, SiglipImageProcessorPil, SiglipModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer
from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

from smallsight.engine.embedding import load_picture_embedder
from smallsight.families.embedding_families import EMBEDDING_FAMILIES
from smallsight.quant.scheme import SCHEMES
from tiny_dual_encoder import (
    CLIP_MERGES,
    GEMMA_MERGES,
    DualShape,
    clip_vocabulary,
    draw_odd_pictures,
    gemma_vocabulary,
    write_tiny_clip,
    write_tiny_siglip,
)

WIDE = DualShape(
    vision_hidden=64,
    vision_ffn=128,
    vision_layers=3,
    text_hidden=48,
    text_ffn=96,
    text_heads=3,
    dimensions=64,
)
TINY_CLIP = DualShape(vision_hidden=40, vision_heads=5, text_hidden=24, text_layers=1, dimensions=16)
CHECKPOINTS = {
    "siglip": write_tiny_siglip,
    "siglip wide": lambda folder: write_tiny_siglip(folder, WIDE, seed=1),
    "siglip 2": lambda folder: write_tiny_siglip(folder, seed=2, gemma=True),
    "clip": lambda folder: write_tiny_clip(folder, seed=3),
    "tiny clip": lambda folder: write_tiny_clip(folder, TINY_CLIP, seed=4, has_json=False),
}
LEAST_COSINE = {"fp32": 0.99999, "bf16": 0.998, "int8": 0.995}
TEXTS = [
    "",
    "a photo of two cats",
    "OWL on the sofa, two DOGs!",
    "it's " * 30,
    "über 猫 😀\t\n",
    "<eos> </s> <|endoftext|> x",
    "\ud800 cat",
    *(f"cat {'dog owl ' * (number % 9)}{number}" for number in range(193)),
]
PICTURES = draw_odd_pictures(200)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("dual-encoders")
    return cache(lambda name: CHECKPOINTS[name](root / name.replace(" ", "-")))


def reference_of(folder: Path, name: str):
    kinds = (CLIPModel, CLIPImageProcessorPil) if "clip" in name else (SiglipModel, SiglipImageProcessorPil)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, processor = (kind.from_pretrained(folder) for kind in kinds)
    return model.eval(), processor


def unit(features: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(features, dim=1).numpy()


def prepared(processor, pictures) -> torch.Tensor:
    """As transformers prepares them; it cannot tell the channels of a few sizes of one pixel."""
    return torch.cat([processor([one.copy()], return_tensors="pt")["pixel_values"] for one in pictures])


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_pictures_are_prepared_exactly_as_by_transformers(checkpoints, name: str):
    folder = checkpoints(name)
    _, processor = reference_of(folder, name)
    family = EMBEDDING_FAMILIES["clip" if "clip" in name else "siglip"]
    own = family.open_model(folder, SCHEMES["fp32"]).pictures
    for number, picture in enumerate(PICTURES[:80]):
        expected = prepared(processor, [picture]).numpy()
        got = own.pixel_values(picture)
        assert np.array_equal(got, expected), f"picture {number}: {picture.mode} of {picture.size}"


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_vectors_are_those_of_transformers(checkpoints, name: str):
    folder = checkpoints(name)
    model, processor = reference_of(folder, name)
    family = EMBEDDING_FAMILIES["clip" if "clip" in name else "siglip"]
    tokens = family.open_model(folder, SCHEMES["fp32"]).tokens
    with torch.inference_mode():
        pictures = unit(model.get_image_features(prepared(processor, PICTURES)).pooler_output)
        texts = np.concatenate(
            [
                unit(model.get_text_features(torch.tensor([tokens.encode(text)[0]])).pooler_output)
                for text in TEXTS
            ]
        )
    for uses_kernels, (precision, least) in itertools.product((False, True), LEAST_COSINE.items()):
        embedder = load_picture_embedder(folder, precision, threads=1, uses_kernels=uses_kernels)
        for items, expected, got in (
            ("pictures", pictures, embedder.embed_pictures(PICTURES)),
            ("texts", texts, embedder.embed_texts(TEXTS)),
        ):
            assert got.dtype == np.float32
            assert np.allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
            cosines = (got * expected).sum(axis=1)
            assert cosines.min() >= least, f"{items} in {precision}, number {cosines.argmin()}"


def test_clip_ids_are_those_of_transformers(tmp_path: Path):
    reference = CLIPTokenizer(clip_vocabulary(), list(CLIP_MERGES))
    for has_json in (True, False):
        folder = write_tiny_clip(tmp_path / str(has_json), has_json=has_json)
        tokens = EMBEDDING_FAMILIES["clip"].open_model(folder, SCHEMES["fp32"]).tokens
        for text in TEXTS:
            if "\ud800" in text or "<|" in text:
                continue
            expected = reference(text, truncation=True, max_length=16)["input_ids"]
            ids, position = tokens.encode(text)
            assert ids[: position + 1] == expected
            assert set(ids[position + 1 :]) <= {len(clip_vocabulary()) - 1}


def test_siglip_2_ids_are_those_of_transformers(tmp_path: Path):
    reference = Siglip2Tokenizer(gemma_vocabulary(), list(GEMMA_MERGES))
    folder = write_tiny_siglip(tmp_path, gemma=True)
    tokens = EMBEDDING_FAMILIES["siglip"].open_model(folder, SCHEMES["fp32"]).tokens
    for text in TEXTS:
        if "\ud800" in text or "<eos>" in text:
            continue
        words = reference(text, add_special_tokens=False, truncation=True, max_length=15)["input_ids"]
        assert tokens.encode(text)[0] == [*words, 1, *[0] * (15 - len(words))]
