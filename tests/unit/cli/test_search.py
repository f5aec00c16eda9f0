from __future__ import annotations

import pytest

from smallsight.cli.search import separate_minus_words


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("search cat -dog", "search cat -- -dog"),
        ("search cat -dog --json -n 5 -quiz", "search cat --json -n 5 -- -dog -quiz"),
        ("search cat -n5 -q", "search cat -n5 -q"),
        ("search -tag:work cat", "search cat -- -tag:work"),
        ("--json search -dog", "--json search -- -dog"),
        ("search cat -- -dog -x", "search cat -- -dog -x"),
        ("index -dog", "index -dog"),
        ("--help", "--help"),
    ],
)
def test_minus_words_are_no_options(typed: str, understood: str):
    assert separate_minus_words(typed.split()) == understood.split()
