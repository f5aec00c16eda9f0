"""Which texts a request embeds, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from smallsight.errors import BadRequestError
from smallsight.openai.embeddings_request import MAX_TEXTS, EmbeddingsRequest


def texts(given: Any) -> list[str]:
    return EmbeddingsRequest.model_validate({"input": given}).texts()


def test_one_text_or_several():
    assert texts("a cat") == ["a cat"]
    assert texts(["a cat", "a dog"]) == ["a cat", "a dog"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "neither a text nor a list"),
        (None, "neither a text nor a list"),
        ({"a": 1}, "neither a text nor a list"),
        ("", "empty"),
        (["a", ""], "empty"),
        (["a", None], "no text"),
        ([1, 2, 3], "token ids"),
        ([[1, 2], [3]], "token ids"),
        (["a"] * (MAX_TEXTS + 1), "limit 2048"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_embedded_is_a_sentence(given: object, why: str):
    with pytest.raises(BadRequestError, match=why):
        texts(given)


@pytest.mark.parametrize(
    "body",
    [
        {"input": "a", "dimensions": 0},
        {"input": "a", "encoding_format": "int8"},
        {"input": "a", "dimensions": 1.5},
    ],
)
def test_fields_are_checked(body: dict[str, object]):
    with pytest.raises(ValidationError):
        EmbeddingsRequest.model_validate(body)
