"""Rows of large JPEGs leave the decoding child while others are decoded, and are taken back if need be."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image, ImageCms

from smallsight.errors import CorruptPictureError
from smallsight.media.child_process import ChildProcess
from smallsight.media.decode_child import serve
from smallsight.media.early_rows import EarlyRows, RowsNotSentError
from smallsight.media.wire import ppm_header, read_bytes, read_header, write_frame
from smallsight.settings import MIB

SIZE = (1601, 1003)  # no multiples of what is sent or decoded at once
REQUEST = {
    "format": "JPEG",
    "max_image_pixels": 10_000_000,
    "max_image_side_px": 10_000,
    "max_frames": 1,
    "max_side_px": 10_000,
    "timeout_s": 1000.0,
}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def noise():
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    return Image.fromarray(pixels)


def black_with_a_stripe():
    image = Image.new("RGB", SIZE)
    image.paste("white", (700, 500, 701, 520))
    return image


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def frames_of(data, **changes):
    """Return the frames with which the child answers one request."""
    incoming, outgoing = io.BytesIO(), io.BytesIO()
    write_frame(incoming, {**REQUEST, **changes}, data)
    incoming.seek(0)
    assert serve(incoming, outgoing, 1 << 30) == 0
    outgoing.seek(0)
    frames = []
    while outgoing.tell() < len(outgoing.getvalue()):
        header, num_bytes = read_header(outgoing)
        frames.append((header, read_bytes(outgoing, num_bytes)))
    return frames


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (noise(), {}),
        (noise(), {"subsampling": 0, "quality": 98}),
        (noise(), {"restart_marker_rows": 1}),
        (noise(), {"progressive": True}),
        (noise(), {"icc_profile": SRGB, "exif": turned(1)}),
        (black_with_a_stripe(), {}),
        (Image.new("RGB", SIZE), {}),
    ],
    ids=["noise", "all colours", "restarts", "progressive", "sRGB", "a stripe", "black"],
)
def test_rows_sent_early_are_pillows_and_are_confirmed(decoder, encode, image, options):
    data = encode(image, "JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    (first, pixels), second = frames_of(data)
    assert first["is_early"] is True
    assert pixels == ppm_header(SIZE) + expected.tobytes()
    assert second == ({"holds": True}, b"")
    decoded = decoder.decode(data, max_side_px=10_000)
    np.testing.assert_array_equal(decoded.image_HWC, expected)
    assert (decoded.width_px, decoded.height_px, decoded.num_frames) == (*SIZE, 1)


@pytest.mark.parametrize(
    ("image", "options", "changes"),
    [
        (noise().resize((999, 1000)), {}, {}),
        (noise(), {"exif": turned(6)}, {}),
        (noise().convert("L"), {}, {}),
        (noise().convert("CMYK"), {}, {}),
        (noise(), {}, {"max_side_px": 1300}),
        (noise(), {}, {"thumbnail_side_px": 320}),
        (noise(), {}, {"wants_hashes": True}),
        (noise(), {}, {"wants_full_size": True}),
        (noise(), {}, {"wants_pages": True}),
        (noise(), {}, {"max_image_pixels": 1_200_000}),
    ],
)
def test_what_is_small_changed_or_one_of_several_results_is_sent_at_the_end(encode, image, options, changes):
    ((reply, _),) = frames_of(encode(image, "JPEG", **options), **changes)
    assert "is_early" not in reply
    assert reply["width_px"] * reply["height_px"] == image.width * image.height


def test_a_profile_that_changes_colours_is_applied_to_all_rows(decoder, encode):
    curves = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    blue, red = curves.index(b"bXYZ"), curves.index(b"rXYZ")
    swapped = bytearray(curves)
    swapped[blue : blue + 4], swapped[red : red + 4] = b"rXYZ", b"bXYZ"
    data = encode(noise(), "JPEG", icc_profile=bytes(swapped))
    ((reply, _),) = frames_of(data)
    assert "is_early" not in reply
    assert not np.array_equal(
        decoder.decode(data, max_side_px=10_000).image_HWC, np.asarray(Image.open(io.BytesIO(data)))
    )


def test_a_profile_of_another_kind_of_pixels_is_ignored_as_it_is_later(encode):
    assert frames_of(encode(noise(), "JPEG", icc_profile=LAB))[0][0]["is_early"] is True


def test_a_jpeg_that_ends_in_the_middle_is_an_error_and_the_next_picture_is_whole(decoder, encode):
    data = encode(noise(), "JPEG")
    (first, pixels), (second, nothing) = frames_of(data[: len(data) // 2])
    assert first["is_early"] is True
    assert len(pixels) == len(ppm_header(SIZE)) + 3 * SIZE[0] * SIZE[1]
    assert (second["error"], nothing) == ("corrupt_picture", b"")
    num_before = decoder.num_children_started
    for _ in range(2):
        with pytest.raises(CorruptPictureError):
            decoder.decode(data[: len(data) // 2], max_side_px=10_000)
        shown = decoder.decode(data, max_side_px=10_000).image_HWC
        np.testing.assert_array_equal(shown, np.asarray(Image.open(io.BytesIO(data))))
    assert decoder.num_children_started - num_before <= 1


def test_a_jpeg_that_lacks_its_last_bytes_is_sent_again_as_it_is_shown(decoder, encode):
    data = encode(noise(), "JPEG")[:-40]
    first, (second, pixels) = frames_of(data)
    assert first[0]["is_early"] is True
    expected = np.asarray(Image.open(io.BytesIO(data + b"\xff\xd9")))
    assert pixels == ppm_header(SIZE) + expected.tobytes()
    assert "is_early" not in second
    np.testing.assert_array_equal(decoder.decode(data, max_side_px=10_000).image_HWC, expected)


def test_rows_leave_before_the_file_has_been_read_to_its_end(encode):
    data = encode(noise(), "JPEG", quality=95)
    replies = io.BytesIO()
    early = EarlyRows(replies)
    with Image.open(io.BytesIO(data)) as opened, early.sent(opened, data):
        opened.load()
        deadline_s = time.monotonic() + 10
        while replies.tell() < SIZE[0] * SIZE[1] and time.monotonic() < deadline_s:
            time.sleep(0.01)
        num_before_the_end = replies.tell()
    assert SIZE[0] * SIZE[1] <= num_before_the_end < len(replies.getvalue())
    assert early.are_sent


def test_the_locked_down_child_sends_early(encode):
    data = encode(noise(), "JPEG")
    child = ChildProcess(512 * MIB)
    try:
        reply, parts = child.exchange(REQUEST, data, 30, max_reply_bytes=4 * SIZE[0] * SIZE[1])
    finally:
        child.kill()
    assert reply["is_early"] is True
    assert parts == ppm_header(SIZE) + np.asarray(Image.open(io.BytesIO(data))).tobytes()


def test_a_thread_that_cannot_be_started_only_costs_time(encode, monkeypatch):
    def refuse(_thread):
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr("threading.Thread.start", refuse)
    data = encode(noise(), "JPEG")
    ((reply, pixels),) = frames_of(data)
    assert "is_early" not in reply
    assert pixels == ppm_header(SIZE) + np.asarray(Image.open(io.BytesIO(data))).tobytes()


def test_an_output_that_is_gone_ends_the_child(encode):
    class ClosedOutput(io.BytesIO):
        def write(self, data, /):
            if len(data) > 10_000:
                raise BrokenPipeError
            return super().write(data)

    data, replies = encode(noise(), "JPEG"), ClosedOutput()
    incoming = io.BytesIO()
    write_frame(incoming, REQUEST, data)
    incoming.seek(0)
    with pytest.raises(RowsNotSentError):
        serve(incoming, replies, 1 << 30)
