"""Vocabularies: what a line means, and which ones are refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.errors import SettingsError
from smallsight.library.suggesting.vocabulary import MAX_THINGS, load_vocabulary, parse_vocabulary

PROMPTS = ("a photo of a {}.", "{}")


def test_a_line_is_a_tag_with_further_words_or_whole_prompts():
    text = "# things\n\n  owl \r\ncat: kitten ,  tom cat\nscreenshot: a {} of a phone, , ignored\n"
    things = parse_vocabulary(text, "it").things
    assert list(things) == ["owl", "cat", "screenshot"]
    assert things["owl"].phrases(PROMPTS) == ("a photo of a owl.", "owl")
    assert things["cat"].phrases(PROMPTS[:1]) == (
        "a photo of a cat.",
        "a photo of a kitten.",
        "a photo of a tom cat.",
    )
    assert things["screenshot"].phrases(PROMPTS) == ("a screenshot of a phone",)


def test_the_shipped_vocabulary_has_about_600_everyday_things():
    vocabulary = load_vocabulary(None)
    assert 550 <= len(vocabulary.things) <= 650
    assert {"dog", "sunset", "birthday cake", "screenshot", "qr code"} <= vocabulary.things.keys()
    assert all(thing.phrases(PROMPTS) for thing in vocabulary.things.values())


def test_its_digest_is_that_of_the_things_not_of_the_file():
    one, same = parse_vocabulary("owl\ncat: kitten", "a"), parse_vocabulary("# x\n owl\ncat:kitten\n", "b")
    other = parse_vocabulary("owl\ncat", "a")
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("owl\ncat\n Owl : bird", r"Line 3 of it has 'Owl' again, after line 1\."),
        ("owl\n: bird", r"Line 2 of it has no tag that can be used: ''\."),
        ("a {} of a phone", "has no tag that can be used"),
        ("cats, dogs", "has no tag that can be used"),
        ("x" * 61, r"has a tag of 61 characters \(limit 60\)"),
        (f"owl: {'x' * 201}", "is too long"),
        (f"owl: {', '.join('abcdefghijklmnopq')}", "is too long"),
        ("owl\x07", "a character that cannot be shown"),
        ("# nothing", "Nothing is named in it"),
        ("\n".join(f"thing {number}" for number in range(MAX_THINGS + 1)), "one thing too many"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_wrong_line_is_one_sentence(text: str, why: str):
    with pytest.raises(SettingsError, match=why):
        parse_vocabulary(text, "it")


def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path):
    path = tmp_path / "things.txt"
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_vocabulary(path)
    path.write_bytes("müll".encode("latin-1"))
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load_vocabulary(path)
    path.write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(SettingsError, match="more than 1048576 bytes"):
        load_vocabulary(path)
    path.write_bytes("\ufeffMüll: Abfall\n".encode())
    assert [thing.tag for thing in load_vocabulary(path).things.values()] == ["Müll"]
