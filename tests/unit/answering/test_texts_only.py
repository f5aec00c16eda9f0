"""Pictures where only texts are embedded."""

from __future__ import annotations

import pytest

from smallsight.answering.texts_only import require_texts
from smallsight.errors import BadRequestError


@pytest.mark.parametrize(
    "given",
    [
        "data:image/png;base64,aGVsbG8=",
        ["a cat", "DATA:IMAGE/PNG;base64,aGVsbG8="],
        {"image": "aGVsbG8="},
        [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}],
        [{"type": "input_image"}],
        ["/9j/" + "A" * 100],
        {"prompt_string": "<__media__>", "multimodal_data": ["aGVsbG8="]},
    ],
)
def test_a_picture_is_refused_with_what_to_do(given: object):
    with pytest.raises(BadRequestError, match="only texts are embedded here") as refused:
        require_texts(given, "input")
    assert refused.value.param == "input"


@pytest.mark.parametrize(
    "given",
    [
        "a picture of data:image/png",
        "/9j/ begins a JPEG" + " in base64" * 10,
        ["a", ""],
        [1, [2]],
        None,
        {},
        {"type": "text"},
    ],
)
def test_everything_else_is_left_to_others(given: object):
    require_texts(given, "input")
