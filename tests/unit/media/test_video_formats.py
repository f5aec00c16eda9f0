from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clips import animation, clip
from smallsight.errors import UnsupportedFormatError
from smallsight.media.video import VideoReader
from smallsight.media.video_formats import CONTAINERS, is_animation, is_container, sniff_video
from smallsight.settings import Limits


def still(picture_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, picture_format)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [
        ("mp4", "mpeg4", "MP4"),
        ("mov", "mpeg4", "MP4"),
        ("webm", "libvpx", "MATROSKA"),
        ("matroska", "mpeg4", "MATROSKA"),
        ("avi", "mpeg4", "AVI"),
        ("mpegts", "mpeg2video", "MPEG-TS"),
        ("mpeg", "mpeg2video", "MPEG"),
        ("flv", "flv", "FLV"),
        ("ogg", "libvpx", "OGG"),
    ],
)
def test_containers_are_told_by_their_first_bytes(container: str, codec: str, name: str):
    data = clip(3, fps=25, container=container, codec=codec)
    assert sniff_video(data) == name
    assert is_container(data)
    assert not is_animation(data)
    assert name in CONTAINERS


@pytest.mark.parametrize("container", ["mpegts", "m2ts of camcorders", "with checksums"])
@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_transport_streams_with_packets_of_every_size(container: str, codec: str):
    plain = clip(12, fps=25, container="mpegts", codec=codec)
    packets = [plain[start : start + 188] for start in range(0, len(plain), 188)]
    data = {
        "mpegts": plain,
        "m2ts of camcorders": b"".join(
            number.to_bytes(4, "big") + packet for number, packet in enumerate(packets)
        ),
        "with checksums": b"".join(packet + bytes(16) for packet in packets),
    }[container]
    assert sniff_video(data) == "MPEG-TS"
    with VideoReader(plain, Limits()) as reader:
        expected = list(reader.frames(range(12)))
    with VideoReader(data, Limits()) as reader:
        assert reader.facts.num_frames == 12
        assert all(map(np.array_equal, reader.frames(range(12)), expected))


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP"])
def test_animations_are_pictures_that_move(picture_format: str):
    assert is_animation(animation(2, picture_format=picture_format))
    assert not is_animation(still(picture_format))
    assert not is_container(animation(2, picture_format=picture_format))
    assert sniff_video(still(picture_format)) == picture_format


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "text file"),
        (still("PNG"), "a picture \\(PNG\\)"),
        (b"\0\0\0\x1cftypM4A \0\0\0\0", "sound"),
        (b"RIFF\0\0\0\0WAVE", "sound"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "a picture \\(AVIF\\)"),
    ],
)
def test_what_is_no_video_is_told_what_it_looks_like(data: bytes, words: str):
    assert not is_container(data)
    with pytest.raises(UnsupportedFormatError, match=words):
        sniff_video(data)


@pytest.mark.parametrize("length", range(0, 30, 3))
def test_no_beginning_is_too_short_to_look_at(length: int):
    for data in (clip(2), animation(2), animation(2, picture_format="WEBP")):
        is_container(data[:length])
        is_animation(data[:length])
