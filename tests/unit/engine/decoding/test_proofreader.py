"""A very small model's sentences: right articles, nothing named twice, an end where it goes in circles."""

from __future__ import annotations

import pytest

from smallsight.engine.decoding.proofreader import Proofreader
from smallsight.engine.decoding.text_stream import TextStream


def proofread(text: str, size: int = 1) -> str:
    """Return what becomes of a text that arrives in pieces of this size."""
    reader = Proofreader()
    shown = ""
    for start in range(0, len(text), size):
        if not reader.is_stopped:
            shown += reader.push(text[start : start + size], is_last=False)
    return shown if reader.is_stopped else shown + reader.push("", is_last=True)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("There is a owl.", "There is an owl."),
        (
            "There are a eye, a orange square and a unicorn.",
            "There are an eye, an orange square and a unicorn.",
        ),
        ("A umbrella on a red background.", "An umbrella on a red background."),
        ('A bee. The text says "a owl a eye".', 'A bee. The text says "a owl a eye".'),
        ("There are two bees and a black cat on a black and white background.", None),
        ("", ""),
        ("Yellow.", None),
        ("There are a star, a star and a bee.", "There are a star and a bee."),
        ("a pig, a pig, a pig, a pig, a pig, a pig", "a pig."),
        ('It says "TO DO", "TO DO", "TO DO", "DONE".', 'It says "TO DO", "TO DO", "DONE".'),
        ('The text says "tim tim tim tim tim tim', 'The text says "tim".'),
        ('The text says "no way no way no way no', 'The text says "no way".'),
        ('The text says "SOSOSOSOSOSOSOSO', 'The text says "SO".'),
        ('The text says "ha ha ha".', None),
        ("12:00, 12:30 and 13:00.", None),
    ],
)
def test_what_is_said(text: str, right: str | None):
    for size in (1, 3, 1000):
        assert proofread(text, size) == (text if right is None else right)


def test_a_stream_ends_where_it_goes_in_circles():
    words = ["a", " pig", ",", " a", " pig", ",", " a", " pig", ",", " a", " pig", ",", " a", " pig"]
    stream = TextStream(lambda ids: "".join(words[one] for one in ids), proofreader=Proofreader())
    shown = ""
    for place in range(len(words)):
        shown += stream.push(place)
    assert stream.is_stopped
    assert shown == stream.text == "a pig."


def test_a_stop_string_is_found_in_what_was_corrected():
    words = ["a", " owl", " sits", " here"]
    stream = TextStream(
        lambda ids: "".join(words[one] for one in ids), stop=("an owl sits",), proofreader=Proofreader()
    )
    assert "".join([*(stream.push(place) for place in range(len(words))), stream.finish()]) == ""
    assert stream.is_stopped
