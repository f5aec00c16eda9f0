from __future__ import annotations

import json

import pytest

from smallsight.library.search.word_list import NO_WORDS, WordList
from smallsight.reading.word_list import read_whole_words


def test_the_whole_words_of_a_vocabulary(tmp_path):
    vocabulary = {"[PAD]": 0, "a": 1, "cat": 2, "##s": 3, "1990": 4, "screen": 5}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    assert read_whole_words(tmp_path) == {"cat", "screen"}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": {"vocab": 3}}'])
def test_a_file_that_cannot_be_read_has_none(tmp_path, text):
    assert read_whole_words(tmp_path) == frozenset()
    (tmp_path / "tokenizer.json").write_text(text)
    assert read_whole_words(tmp_path) == frozenset()


def test_inflections_derivations_and_compounds_are_known():
    words = WordList(lambda: ["screen", "shot", "load", "happy", "sign", "house", "plant"])
    known = "screen screenshot screenshots upload uploading unhappy happily signs houseplant the".split()
    assert [word for word in known if not words.knows(word)] == []
    assert not any(map(words.knows, "sceen hapy screnshot asdkjhqwe".split()))
    assert not NO_WORDS.knows("the")


def write_vocabulary(folder, *words):
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": dict.fromkeys(words, 0)}}))


def test_the_kept_words_are_used_until_the_vocabulary_changes(tmp_path):
    write_vocabulary(tmp_path, "cat", "größe")
    kept_in = tmp_path / "kept"
    assert read_whole_words(tmp_path, kept_in) == {"cat", "größe"}
    (kept,) = kept_in.iterdir()
    written = kept.stat().st_ino
    assert read_whole_words(tmp_path, kept_in) == {"cat", "größe"}
    assert kept.stat().st_ino == written
    write_vocabulary(tmp_path, "dog", "größe")
    assert read_whole_words(tmp_path, kept_in) == {"dog", "größe"}


@pytest.mark.parametrize("damage", [lambda kept: kept[:-2], lambda _: b"", lambda kept: kept[:-1] + b"\xff"])
def test_damaged_kept_words_are_read_again(tmp_path, damage):
    write_vocabulary(tmp_path, "cat", "dog")
    kept_in = tmp_path / "kept"
    read_whole_words(tmp_path, kept_in)
    (kept,) = kept_in.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert read_whole_words(tmp_path, kept_in) == {"cat", "dog"}
    assert kept.read_bytes() == whole
