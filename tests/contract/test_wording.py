"""Documents are written in plain technical English: phrases that CONTRIBUTING.md stars are found in none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contract.checkout import ROOT, markdown_files, place

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
GENERATED = {"docs/tree.md"}  # from docstrings

# A phrase of the word lists, and what a text must not match. Real uses are taken out first, see ALLOWED.
PHRASES = {
    "figures": r"\bfigures?\b",
    "cache of keys and values": r"\bcaches? of keys and values\b",
    "under way": r"\bunder way\b",
    "hears": r"\bhears?\b",
    "anew": r"\banew\b",
    "mend": r"\bmend(?:s|ed|ing)?\b",
    "of its own": r"\bof (?:its|their|our) own\b",
    "gives up": r"\b(?:gives?|given|gave|giving) (?:it |them |one |the request )?up\b",
    "so many": r"\bso many\b",
    "that is none": r"\bthat (?:is|are) none\b",
    "that is no X": r"\bthat (?:is|are) no (?!longer\b|more\b)\w",
    "told of": r"\b(?:tell|tells|told) of\b",
}
ALLOWED = [
    r"\b(?:two|three|four|five|six|seven|significant) figures\b",  # digits
    r"\bfigure of speech\b",
    r"\bso many (?:that|as)\b",
    r"```.*?```",
    r"`[^`\n]*`",
    r"<!--.*?-->",
    r"^\|[^\n]*\\\* \|$",  # the word lists themselves
]


def prose(path: Path) -> str:
    """Return a document without code, comments and allowed uses, each line where it was."""
    text = path.read_text(encoding="utf-8")
    for pattern in ALLOWED:
        text = re.sub(
            pattern,
            lambda match: "\n" * match[0].count("\n"),
            text,
            flags=re.MULTILINE | re.DOTALL | re.IGNORECASE,
        )
    return text


def offences(text: str) -> list[str]:
    """Return line number and phrase of everything that a document should say otherwise."""
    return [
        f"{text.count(chr(10), 0, match.start()) + 1}: {phrase}"
        for phrase, pattern in PHRASES.items()
        for match in re.finditer(pattern.replace(" ", r"\s+"), text, re.IGNORECASE)
    ]


def test_documents_use_no_starred_phrase():
    documents = [path for path in markdown_files() if place(path) not in GENERATED]
    found = {place(path): bad for path in documents if (bad := offences(prose(path)))}
    assert found == {}, "CONTRIBUTING.md, Words, says what to write instead"


def test_the_starred_phrases_are_those_that_are_looked_for():
    starred = re.findall(r"\| ([^|]+?) \\\* \|$", CONTRIBUTING.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(starred) == sorted(PHRASES)


@pytest.mark.parametrize(
    "text",
    [
        *("The figures say so.", "It is under\nway.", "A digest that is none.", "Begun anew", "to mend it"),
        *("a name of its own", "it gives up", "it gave the request up", "so many seconds", "told of it"),
        *("a text that is no picture", "the cache of keys and\nvalues", "It hears the question."),
    ],
)
def test_a_phrase_is_noticed(text: str):
    assert len(offences(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "recommend",
        "a file that is no longer here",
        "amended",
        "configure",
        "Its own name",
        "hearsay",
        "renew",
    ],
)
def test_ordinary_words_are_not_noticed(text: str):
    assert offences(text) == []


def test_code_and_digits_are_allowed(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("Three figures.\n\n```\nmend\n```\n\n`figures.py`, so many\nfigures\n")
    assert offences(prose(page)) == ["8: figures", "7: so many"]
