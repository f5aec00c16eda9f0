"""Captions in IPTC-IIM, in stated and unstated encodings, also where the bytes are damaged."""

from __future__ import annotations

import pytest

from handmade_metadata import iptc_records, photoshop_resources
from smallsight.media.metadata.iptc import iptc_of_photoshop, read_iptc


def fields(data: bytes) -> list[tuple[str, str]]:
    return [(field.origin.removeprefix("iptc:"), field.text) for field in read_iptc(data)]


def test_all_fields_are_read():
    data = iptc_records(
        (1, 90, b"\x1b%G"),
        (2, 0, b"\0\4"),
        (2, 5, "Überfahrt".encode()),
        (2, 25, "море".encode()),
        (2, 25, "猫".encode()),
        (2, 105, b"Headline"),
        (2, 120, b"x" * 3000),
    )
    expected = [
        ("ObjectName", "Überfahrt"),
        ("Keywords", "море"),
        ("Keywords", "猫"),
        ("Headline", "Headline"),
    ]
    assert fields(data) == [*expected, ("Caption-Abstract", "x" * 3000)]
    assert iptc_of_photoshop(photoshop_resources(data)) == data


@pytest.mark.parametrize(
    ("escape", "encoding"),
    [
        (None, "utf-8"),
        (None, "cp1252"),
        (b"\x1b%/G", "utf-8"),
        (b"\x1b.A", "latin-1"),
        (b"\x1b-A", "latin-1"),
    ],
)
def test_encodings(escape, encoding):
    stated = [] if escape is None else [(1, 90, escape)]
    assert fields(iptc_records(*stated, (2, 25, "Überfahrt".encode(encoding)))) == [("Keywords", "Überfahrt")]


def test_an_extended_length_is_read():
    value = b"y" * 40_000
    data = b"\x1c\x02\x78\x80\x04" + len(value).to_bytes(4, "big") + value
    assert fields(data) == [("Caption-Abstract", value.decode())]


def test_damage_never_raises():
    data = photoshop_resources(iptc_records((1, 90, b"\x1b%G"), (2, 25, b"word"), (2, 120, b"caption")))
    for length in range(len(data)):
        fields(iptc_of_photoshop(data[:length]))
    for at in range(len(data)):
        fields(iptc_of_photoshop(data[:at] + b"\xff" + data[at + 1 :]))
