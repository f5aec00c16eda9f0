"""The child's loop, run in this process over byte streams; ``test_decoder`` runs the real child."""

from __future__ import annotations

import io

import pytest

from smallsight.media.decode_child import serve
from smallsight.media.wire import ppm_header, read_bytes, read_header, write_frame

REQUEST = {
    "format": "PNG",
    "max_image_pixels": 1_000_000,
    "max_image_side_px": 5_000,
    "max_frames": 10,
    "max_side_px": 100,
    "thumbnail_side_px": 50,
    "timeout_s": 1000.0,
}


@pytest.fixture
def ask():
    def exchange(*requests):
        incoming, outgoing = io.BytesIO(), io.BytesIO()
        for header, data in requests:
            write_frame(incoming, header, data)
        incoming.seek(0)
        code = serve(incoming, outgoing, 1 << 30)
        outgoing.seek(0)
        replies = []
        for _ in requests:
            header, num_bytes = read_header(outgoing)
            replies.append((header, read_bytes(outgoing, num_bytes)))
        return code, replies

    return exchange


def test_a_picture_and_an_error_and_a_picture(ask, encode, scene):
    good = encode(scene, "PNG")
    code, ((first, parts), (second, nothing), (third, _)) = ask(
        ({**REQUEST, "wants_hashes": True}, good),
        (REQUEST, good[:500]),
        ({**REQUEST, "max_side_px": None}, good),
    )
    assert code == 0
    assert (first["width_px"], first["height_px"], first["num_frames"]) == (400, 300, 1)
    assert first["image_size"] == [100, 75]
    header = ppm_header((100, 75))
    assert first["part_bytes"][:2] == [4096, len(header) + 100 * 75 * 3]
    assert sum(first["part_bytes"]) == len(parts)
    assert parts[4096:].startswith(header)
    assert second["error"] == "corrupt_picture"
    assert nothing == b""
    assert third["image_size"] is None
    assert third["part_bytes"][1] == 0


class FullStream(io.BytesIO):
    """A stream whose bodies do not fit into memory."""

    def read(self, size=-1, /):
        if size == 12_345:
            raise MemoryError
        return super().read(size)


def test_memory_that_runs_out_ends_the_child():
    incoming, outgoing = FullStream(), io.BytesIO()
    write_frame(incoming, REQUEST, bytes(12_345))
    incoming.seek(0)
    assert serve(incoming, outgoing, 1 << 30) == 1
    outgoing.seek(0)
    assert read_header(outgoing) == ({"error": "out_of_memory"}, 0)


def test_no_requests_is_a_clean_end():
    assert serve(io.BytesIO(), io.BytesIO(), 0) == 0
