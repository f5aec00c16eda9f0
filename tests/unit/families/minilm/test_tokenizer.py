from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.errors import BrokenCheckpointError
from smallsight.families.minilm.config import MiniLMConfig, read_config
from smallsight.families.minilm.tokenizer import MAX_CHARS, MiniLMTokenizer
from tiny_bert import VOCABULARY, write_tiny_bert, write_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def config(folder: Path) -> MiniLMConfig:
    return read_config(folder)


@pytest.fixture(scope="module")
def tokenizer(folder: Path, config: MiniLMConfig) -> MiniLMTokenizer:
    return MiniLMTokenizer.load(folder, config)


def tokens(tokenizer: MiniLMTokenizer, text: str) -> str:
    (ids,) = tokenizer.encode([text])
    return " ".join(VOCABULARY[number] for number in ids)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "[CLS] [SEP]"),
        ("The CAT sat.", "[CLS] the cat sat . [SEP]"),
        ("cats", "[CLS] cat ##s [SEP]"),
        ("it's", "[CLS] i ##t ' s [SEP]"),
        ("猫猫", "[CLS] 猫 猫 [SEP]"),
        ("😀", "[CLS] [UNK] [SEP]"),
        ("d\x00o\u200bg\tcat", "[CLS] dog cat [SEP]"),
        ("\ud83d\udc31 a", "[CLS] [UNK] a [SEP]"),
        ("cat \ud800", "[CLS] cat [SEP]"),
        ("c" * 101, "[CLS] [UNK] [SEP]"),
    ],
)
def test_word_pieces(tokenizer: MiniLMTokenizer, text: str, expected: str):
    assert tokens(tokenizer, text) == expected


def test_long_texts_are_cut_with_their_end_mark_kept(tokenizer: MiniLMTokenizer, config: MiniLMConfig):
    (ids,) = tokenizer.encode(["cat " * 1000])
    assert len(ids) == config.max_tokens
    assert VOCABULARY[ids[-1]] == "[SEP]"


def test_only_the_first_characters_are_looked_at(tokenizer: MiniLMTokenizer):
    assert tokens(tokenizer, " " * (MAX_CHARS - 3) + "catdog") == "[CLS] cat [SEP]"


@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=5))
def test_any_text_gives_known_ids_between_the_marks(tokenizer: MiniLMTokenizer, texts: list[str]):
    encoded = tokenizer.encode(texts)
    assert len(encoded) == len(texts)
    for ids in encoded:
        assert (VOCABULARY[ids[0]], VOCABULARY[ids[-1]]) == ("[CLS]", "[SEP]")
        assert 2 <= len(ids) <= 40
        assert 0 <= min(ids) <= max(ids) < len(VOCABULARY)


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("model", {"type": "BPE"}, "model 'BPE', expected 'WordPiece'"),
        ("model", None, "model None"),
        ("normalizer", {"type": "NFC"}, "normalizer 'NFC'"),
        ("pre_tokenizer", "x", "pre_tokenizer None"),
        ("model", {"type": "WordPiece", "unk_token": "[UNK]"}, "no vocabulary"),
        ("model", {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 9999}}, "ids from 0 to"),
        ("model", {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": "b"}}, "no vocabulary"),
        ("model", {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[CLS]": 1, "[SEP]": 2}}, "PAD"),
    ],
)
def test_a_file_that_is_not_wordpiece_is_a_typed_error(
    tmp_path: Path, config: MiniLMConfig, part: str, value: Any, sentence: str
):
    write_tokenizer(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {part: value}), "utf-8")
    with pytest.raises(BrokenCheckpointError, match=sentence):
        MiniLMTokenizer.load(tmp_path, config)
