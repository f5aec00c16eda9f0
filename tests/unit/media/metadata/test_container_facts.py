"""Dates, cameras and places of videos, in containers with what phones and exiftool write."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from clips import clip
from smallsight.media.metadata.container_facts import read_container, read_iso6709
from smallsight.media.metadata.coordinates import Coordinates
from smallsight.media.metadata.taken import DateTaken
from smallsight.media.metadata.words import FileWords

NOW_S = 1_800_000_000.0
WALL_S = (datetime(2023, 5, 3, 10, 11, 12) - datetime(1970, 1, 1)) / timedelta(seconds=1)  # noqa: DTZ001


def box(name: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I", 8 + len(content)) + name + content


def movie(*boxes: bytes) -> bytes:
    return box(b"ftyp", b"qt  ") + box(b"moov", *boxes)


def header(created: int, version: int = 0) -> bytes:
    return box(b"mvhd", bytes((version, 0, 0, 0)), struct.pack(">Q" if version else ">I", created), bytes(92))


def keys(*pairs: tuple[bytes, bytes]) -> bytes:
    names = b"".join(box(b"mdta", name) for name, _ in pairs)
    items = b"".join(
        box(number.to_bytes(4, "big"), box(b"data", bytes(8), value))
        for number, (_, value) in enumerate(pairs, start=1)
    )
    hdlr = box(b"hdlr", bytes(8), b"mdta", bytes(12))
    return box(
        b"meta", hdlr, box(b"keys", bytes(4), struct.pack(">I", len(pairs)), names), box(b"ilst", items)
    )


CREATED = 2_082_844_800 + int(WALL_S)
APPLE = keys(
    (b"com.apple.quicktime.make", b"Apple"),
    (b"com.apple.quicktime.model", b"iPhone 15"),
    (b"com.apple.quicktime.creationdate", b"2023-05-03T12:11:12+0200"),
    (b"com.apple.quicktime.location.ISO6709", b"+48.8583+002.2944+035.000/"),
)


def test_the_clock_of_the_place_goes_before_the_time_in_utc():
    words = read_container(movie(header(CREATED), APPLE), NOW_S)
    assert words.taken == DateTaken(WALL_S + 7200, 120, "container:creationdate")
    assert words.camera == "Apple iPhone 15"
    assert words.place == Coordinates(48.8583, 2.2944)


@pytest.mark.parametrize("version", [0, 1])
def test_the_header_of_a_movie_is_in_utc(version):
    taken = DateTaken(WALL_S, None, "container:mvhd", is_utc=True)
    assert read_container(movie(header(CREATED, version)), NOW_S).taken == taken


def test_a_clock_that_was_never_set_and_one_that_is_ahead_give_no_date():
    for created in (0, 2_082_844_800, CREATED + 2**28):
        assert read_container(movie(header(created)), NOW_S).taken is None


def test_android_writes_the_place_as_user_data():
    place = box(b"udta", box(b"\xa9xyz", struct.pack(">HH", 17, 0x15C7), b"-33.8568+151.2153/"))
    assert read_container(movie(place), NOW_S).place == Coordinates(-33.8568, 151.2153)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+48.8583+002.2944+035.0/", Coordinates(48.8583, 2.2944)),
        ("-3351.408+15112.918/", Coordinates(-33.8568, 151.2153)),
        ("+485130-0021740/", Coordinates(48.8583333, -2.2944444)),
        *((text, None) for text in ("", "+00+000/", "+91+000/", "48.1+2.2/", "+48.8583")),
    ],
)
def test_places_of_iso_6709(text, expected):
    assert read_iso6709(text) == expected


def element(name: bytes, content: bytes) -> bytes:
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def matroska(nanoseconds: int) -> bytes:
    info = element(b"\x15\x49\xa9\x66", element(b"\x44\x61", nanoseconds.to_bytes(8, "big", signed=True)))
    segment = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + element(b"\xec", bytes(3)) + info
    return element(b"\x1a\x45\xdf\xa3", b"") + segment


def test_matroska_counts_from_2001():
    taken = DateTaken(WALL_S, None, "container:DateUTC", is_utc=True)
    assert read_container(matroska(int(WALL_S - 978_307_200) * 10**9), NOW_S).taken == taken
    assert read_container(clip(2, container="matroska"), NOW_S) == FileWords()


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_what_exiftool_writes_into_a_video_is_read(tmp_path: Path):
    path = tmp_path / "a.mov"
    path.write_bytes(clip(2, container="mov"))
    changes = ["-QuickTime:CreateDate=2023:05:03 10:11:12", "-Keys:CreationDate=2023:05:03 12:11:12+02:00"]
    changes += ["-Keys:GPSCoordinates=48.8583, 2.2944, 35", "-Keys:Make=Apple", "-Keys:Model=iPhone 15"]
    subprocess.run(["exiftool", "-q", "-overwrite_original", *changes, path], check=True)
    words = read_container(path.read_bytes(), NOW_S)
    assert words.taken == DateTaken(WALL_S + 7200, 120, "container:creationdate")
    assert (words.camera, words.place) == ("Apple iPhone 15", Coordinates(48.8583, 2.2944))
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-Keys:all=", path], check=True)
    assert read_container(path.read_bytes(), NOW_S).taken == DateTaken(
        WALL_S, None, "container:mvhd", is_utc=True
    )


def test_damaged_containers_raise_nothing():
    chance = random.Random(3)
    for data in (movie(header(CREATED), APPLE), matroska(10**18), clip(2), clip(2, container="matroska")):
        for _ in range(200):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
            read_container(bytes(damaged[: chance.randint(1, len(damaged))]), NOW_S)
            read_container(bytes(damaged), NOW_S)
