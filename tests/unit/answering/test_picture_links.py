from __future__ import annotations

import base64
import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.answering.picture_links import picture_in
from smallsight.errors import BadRequestError
from smallsight.model.picture_argument import NamedBytes


@given(st.binary(min_size=1), st.sampled_from(["image/png", "", "image/jpeg;charset=x"]))
def test_the_bytes_come_back(data: bytes, kind: str):
    encoded = base64.b64encode(data).decode()
    for text in (encoded, encoded.rstrip("="), encoded.replace("+", "%2B"), f" {encoded}\n"):
        assert picture_in(f"data:{kind};base64,{text}") == NamedBytes("", data)


def test_a_name_among_the_parameters_is_the_files():
    assert picture_in("data:image/png;name=a%20cat.png;base64,AAAA") == NamedBytes("a cat.png", b"\0\0\0")
    assert picture_in("DATA:image/png;NAME=x.png;BASE64,AAAA").name == "x.png"


def test_the_url_safe_alphabet_is_read_too():
    data = bytes(range(256))
    safe = base64.urlsafe_b64encode(data).decode()
    assert "-" in safe
    assert "_" in safe
    assert picture_in(f"data:image/png;base64,{safe}").data == data


@pytest.mark.parametrize("num_bytes", [1, 2, 3, 786_431, 786_432, 786_433, 786_434, 2_000_000])
def test_large_data_is_decoded_in_pieces(num_bytes: int):
    data = random.Random(num_bytes).randbytes(num_bytes)
    text = base64.b64encode(data).decode()
    lines = base64.encodebytes(data).decode()
    for one in (text, text.rstrip("="), lines, f" {text} "):
        assert picture_in(f"data:;base64,{one}").data == data
    for broken in (f"{text}====", f"AA=={text}", f"{text[:1]}!{text[1:]}", f"{text.rstrip('=')}===="):
        with pytest.raises(BadRequestError, match="not base64"):
            picture_in(f"data:;base64,{broken}")


def test_data_need_not_be_base64():
    assert picture_in("data:,a%20b") == NamedBytes("", b"a b")


@pytest.mark.parametrize(
    "url",
    [
        "data:",
        "data:image/png",
        "data:image/png;base64,",
        "data:;base64,a",
        "data:;base64,ä",
        "data:;base64,A=A",
    ],
)
def test_what_is_not_data_is_a_sentence(url: str):
    with pytest.raises(BadRequestError, match="data: URL"):
        picture_in(url)


@given(st.text(max_size=100))
def test_no_text_is_anything_but_bytes_or_a_sentence(text: str):
    for url in (f"data:{text}", f"data:;base64,{text}"):
        with contextlib.suppress(BadRequestError):
            assert isinstance(picture_in(url).data, bytes)
