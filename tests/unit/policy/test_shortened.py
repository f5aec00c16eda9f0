"""Names that somebody else wrote are cut in messages; the sentence around them stays."""

from __future__ import annotations

import pytest

from smallsight.policy.shown_text import shortened


@pytest.mark.parametrize("name", ["m" * 5000, "with spaces " * 400, "ü" * 5000, "/a" * 3000])
@pytest.mark.parametrize("sentence", ["There is no model called '{}'. hint: see the list.", 'No "{}" here.'])
def test_a_long_name_in_quotes(name: str, sentence: str):
    cut = shortened(sentence.format(name), 120)
    begin, _, end = sentence.partition("{}")
    assert cut.startswith(begin + name[:50])
    assert cut.endswith(end)
    assert "…" in cut
    assert len(cut) < 200


def test_a_long_name_without_quotes_or_end():
    assert shortened("Not found: /" + "a" * 5000, 120) == "Not found: /" + "a" * 99 + "…" + "a" * 10
    assert len(shortened("'" + "b" * 5000, 120)) == 111


def test_all_else_stays():
    message = (
        "The picture has too many pixels: 182000000 (limit 89478485). hint: raise limits.max_image_pixels. "
        * 3
    )
    assert shortened(message, 120) == message
    assert shortened("'short' and 'also short'" + " word" * 100, 120).count("word") == 100
