"""Answers of the decoding child are checked: it has touched hostile bytes."""

from __future__ import annotations

from functools import partial

import pytest

import smallsight.media.decoder as decoder_module


@pytest.mark.parametrize(
    "changes",
    [
        {"width_px": 0},
        {"width_px": 10**9},
        {"width_px": "wide"},
        {"whole_size": [2, 1]},
        {"whole_size": [1, 0]},
        {"whole_size": None},
        {"num_frames": 0},
        {"num_frames": 10**9},
        {"part_bytes": [4096, 14, 13, -1]},
        {"part_bytes": [4096, 14, 1, 0]},
        {"part_bytes": [4095, 15, 12, 0]},
        {"part_bytes": [4096, 14, 12]},
        {"part_bytes": None},
        {"image_size": [1, 2]},
        {"image_size": [900, 1]},
        {"image_size": [1, -1]},
        {"image_size": None},
    ],
)
def test_answers_that_make_no_sense_are_not_believed(changes):
    reply = {
        "width_px": 1,
        "height_px": 1,
        "num_frames": 1,
        "whole_size": [1, 1],
        "image_size": [1, 1],
        "part_bytes": [4096, 14, 12, 0],
        "colours": bytes(48).hex(),
    }
    parts = bytearray(4096) + b"P6\n1 1\n255\nrgb" + b"RIFF\0\0\0\0WEBP"
    check = partial(
        decoder_module._checked_picture,  # noqa: SLF001 - what no honest child sends
        {
            "format": "PNG",
            "max_image_pixels": 1_000_000,
            "max_image_side_px": 1_000_000,
            "max_frames": 100,
            "max_side_px": 8,
            "thumbnail_side_px": 8,
            "wants_hashes": True,
            "wants_full_size": True,
            "wants_pages": False,
        },
    )
    picture = check(reply, parts)
    assert picture.image_HWC.tolist() == picture.full_size_HWC.tolist() == [[list(b"rgb")]]
    with pytest.raises((KeyError, TypeError, ValueError)):
        check({**reply, **changes}, parts)
    with pytest.raises(ValueError, match="WebP"):
        check(reply, parts[:-4] + b"JUNK")
    with pytest.raises(ValueError, match="header"):
        check(reply, parts.replace(b"P6", b"P5"))
