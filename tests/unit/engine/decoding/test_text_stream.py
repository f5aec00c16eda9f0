"""Text as it comes: whatever is handed out adds up to the whole, cut at the first stop string."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from smallsight.engine.decoding.text_stream import TextStream


def decode_bytes(tokens):
    """A byte-level tokenizer with one token for each byte."""
    return bytes(tokens).decode("utf-8", errors="replace")


def stream_of(text, stop=()):
    stream = TextStream(decode_bytes, stop)
    return [*(stream.push(byte) for byte in text.encode()), stream.finish()], stream


@settings(deadline=None)
@given(st.text(max_size=60))
def test_pieces_add_up_to_the_text_and_are_whole_characters(text):
    pieces, stream = stream_of(text)
    assert "".join(pieces) == text == stream.text


@settings(deadline=None)
@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3))
def test_nothing_from_the_first_stop_string_on_is_shown(text, stops):
    pieces, stream = stream_of(text, tuple(stops))
    # What ends first stops the text; of several that end together, the one that begins first.
    ends = [
        (end, text[:end].rfind(stop, end - len(stop)))
        for end in range(len(text) + 1)
        for stop in stops
        if text[:end].endswith(stop)
    ]
    first_end = min((end for end, _ in ends), default=None)
    begin = min((begin for end, begin in ends if end == first_end), default=None)
    assert "".join(pieces) == (text if begin is None else text[:begin])
    assert stream.is_stopped is (begin is not None)
    assert (stream.stop_string is None) is (begin is None)
    assert stream.stop_string is None or text[begin:].startswith(stream.stop_string)


def test_a_possible_stop_string_is_held_back_and_let_go():
    stream = TextStream(decode_bytes, ("END",))
    assert [stream.push(byte) for byte in b"xENy"] == ["x", "", "", "ENy"]


def test_an_unfinished_character_is_shown_at_the_end():
    stream = TextStream(decode_bytes)
    assert stream.push("é".encode()[0]) == ""
    assert stream.finish() == "\N{REPLACEMENT CHARACTER}"


def test_nothing_follows_a_stop():
    stream = TextStream(decode_bytes, ("b",))
    assert [stream.push(byte) for byte in b"abc"] == ["a", "", ""]
    assert stream.finish() == ""
