from __future__ import annotations

import io
import struct

import pytest

from smallsight.media.wire import read_bytes, read_header, write_frame


def test_what_is_written_is_read():
    stream = io.BytesIO()
    write_frame(stream, {"a": 1, "b": [None, "ä"]}, b"one", b"", b"two")
    write_frame(stream, {})
    stream.seek(0)
    assert read_header(stream) == ({"a": 1, "b": [None, "ä"]}, 6)
    assert read_bytes(stream, 6) == b"onetwo"
    assert read_header(stream) == ({}, 0)
    with pytest.raises(EOFError):
        read_header(stream)


def test_every_cut_is_an_end():
    stream = io.BytesIO()
    write_frame(stream, {"a": 1})
    whole = stream.getvalue()
    for length in range(len(whole)):
        with pytest.raises(EOFError):
            read_header(io.BytesIO(whole[:length]))


@pytest.mark.parametrize("header", [b"[]", b"1", b"{", b"\xff\xfe", b"[" * 60_000])
def test_headers_that_are_no_object(header):
    frame = struct.pack(">IQ", len(header), 0) + header
    with pytest.raises(ValueError, match=r".+"):
        read_header(io.BytesIO(frame))


def test_a_long_header_is_not_even_read():
    with pytest.raises(ValueError, match="too long"):
        read_header(io.BytesIO(struct.pack(">IQ", 65_537, 0)))
