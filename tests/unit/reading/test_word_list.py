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
