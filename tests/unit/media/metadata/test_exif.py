"""Captions in EXIF, in the encodings that cameras and programs use."""

from __future__ import annotations

import pytest

from handmade_metadata import exif_block
from smallsight.media.metadata.exif import read_exif

DESCRIPTION, COMMENT = 270, 0x9286
TEXT = "Überfahrt, море, 猫 и собака"


def texts(data: bytes) -> dict[str, str]:
    return {field.origin.removeprefix("exif:"): field.text for field in read_exif(data)}


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_every_field_is_read(order):
    utf_16 = TEXT.encode("utf-16-le") + b"\0\0"
    block = exif_block(
        {DESCRIPTION: TEXT.encode() + b"\0", 0x9C9B: utf_16, 0x9C9C: utf_16, 0x9C9E: utf_16, 0x9C9F: utf_16},
        order,
        {COMMENT: b"ASCII\0\0\0a comment"},
    )
    found = texts(block)
    assert found.pop("UserComment") == "a comment"
    assert found == dict.fromkeys(
        ("ImageDescription", "XPTitle", "XPComment", "XPKeywords", "XPSubject"), TEXT
    )
    assert texts(b"Exif\0\0" + block) == texts(block)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_unicode_comment_is_read_in_either_byte_order(order, encoding):
    comment = b"UNICODE\0" + TEXT.encode(encoding)
    assert texts(exif_block({}, order, {COMMENT: comment}))["UserComment"] == TEXT


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (b"JIS\0\0\0\0\0" + "猫です".encode("iso2022_jp"), "猫です"),
        (b"\0" * 8 + TEXT.encode(), TEXT),
        (b"UNICODE\0" + TEXT.encode() + b"\0", TEXT),
        (b"UNICODE\0" + "猫です".encode("utf-16-le"), "猫です"),
        (b"ASCII\0\0\0" + TEXT.encode(), TEXT),
        ("Überfahrt".encode("cp1252"), "Überfahrt"),
    ],
    ids=["jis", "undefined", "utf-8 as unicode", "cjk", "ascii", "without a code"],
)
def test_comments_are_decoded_by_their_code(comment, expected):
    assert texts(exif_block({}, "<", {COMMENT: comment}))["UserComment"] == expected


def test_keywords_are_separated_by_semicolons():
    block = exif_block({0x9C9E: "Rom;Meer ;猫".encode("utf-16-le")})
    assert [field.text.strip() for field in read_exif(block)] == ["Rom", "Meer", "猫"]


def test_emoji_that_exiftool_cut_to_16_bits_are_whole_again():
    block = exif_block(
        {0x9C9E: "\uf30a sea;\uf6a2".encode("utf-16-le"), 0x9C9B: "\uf8ff 🌊".encode("utf-16-le")}
    )
    assert [field.text for field in read_exif(block)] == ["\uf8ff 🌊", "🌊 sea", "🚢"]


def test_damage_never_raises():
    block = exif_block({DESCRIPTION: TEXT.encode()}, "<", {COMMENT: b"UNICODE\0" + TEXT.encode("utf-16-le")})
    for length in range(len(block)):
        list(read_exif(block[:length]))
    for at in range(len(block)):
        list(read_exif(block[:at] + b"\xff" + block[at + 1 :]))
    itself = exif_block({}, "<", {}).replace(b"\x1a\0\0\0", b"\x08\0\0\0")  # a directory in itself
    assert [field.text for field in read_exif(itself) if field.text] == []
