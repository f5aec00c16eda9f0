"""The body of `POST /v1/embeddings`: texts, and pictures for a picture embedding model.

Source: the official Python client's types for embeddings. OpenAI's protocol has no pictures there; the forms
in which other servers take them are those of Jina (``input`` with objects), Infinity (``modality``) and vLLM
(``messages``).
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from smallsight.answering.question import PictureLink
from smallsight.answering.texts_only import require_texts
from smallsight.errors import BadRequestError
from smallsight.openai.wire_fields import ModelName, Wire

MAX_TEXTS = 2048
MAX_DIMENSIONS = 1_000_000
_URL_PREFIXES = ("data:", "http:", "https:")
_PICTURE_HINT = 'write a picture as {"image": "data:image/png;base64,..."}, and a text as a string.'

EmbeddableInput: TypeAlias = str | PictureLink


class EmbeddingsRequest(Wire):
    """Texts or pictures to embed."""

    model: ModelName | None = None
    input: Any = None
    messages: Any = None
    modality: Literal["text", "image"] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=MAX_DIMENSIONS)] | None = None

    def texts(self) -> list[str]:
        """Return the texts; raises BadRequestError for pictures, token ids, empty texts, and too many."""
        if self.messages is not None:
            raise BadRequestError(
                "messages are embedded only with a picture embedding model.",
                hint="name one in model, or send texts in input.",
                param="messages",
            )
        require_texts(self.input, "input")
        texts = [self.input] if isinstance(self.input, str) else self.input
        if not isinstance(texts, list) or not texts:
            raise BadRequestError(
                "input is neither a text nor a list of texts.", hint="send at least one.", param="input"
            )
        if isinstance(texts[0], str):
            _require_few(texts)
        for one in texts:
            if isinstance(one, int | list):
                raise _token_ids()
            if not isinstance(one, str) or not one:
                raise BadRequestError(
                    "input has an item that is empty or no text.", hint="leave it out.", param="input"
                )
        return texts

    def items(self) -> list[EmbeddableInput]:
        """Return the texts and pictures in their order, for a model that embeds both.

        ``messages`` are one item. Raises BadRequestError.
        """
        if self.messages is not None:
            if self.input is not None:
                raise BadRequestError(
                    "A request has input or messages, not both.", hint="send one of them.", param="messages"
                )
            return [_of_messages(self.messages)]
        given = self.input if isinstance(self.input, list) else [self.input]
        if not given or given == [None]:
            raise BadRequestError("input is missing or empty.", hint=_PICTURE_HINT, param="input")
        _require_few(given)
        return [self._item(one) for one in given]

    def _item(self, value: object) -> EmbeddableInput:
        if isinstance(value, int | list):
            raise _token_ids()
        if isinstance(value, str) and value:
            is_picture = self.modality == "image" or value[:11].lower() == "data:image/"
            return _picture(value, "input") if is_picture and self.modality != "text" else value
        found = _of_part(value, "input")
        if found is None:
            raise BadRequestError(
                "input has an item that is neither a text nor a picture.", hint=_PICTURE_HINT, param="input"
            )
        return found


def _of_messages(messages: object) -> EmbeddableInput:
    """Return what messages show: one picture or one text, as the networks embed no two together."""
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadRequestError("messages is not a list of messages.", hint=_PICTURE_HINT, param="messages")
    contents = [one.get("content") for one in messages if one.get("role", "user") == "user"]
    parts: list[object] = []
    for content in contents:
        parts += content if isinstance(content, list) else [content]
    found = [one if isinstance(one, str) else _of_part(one, "messages") for one in parts]
    pictures = [one for one in found if isinstance(one, PictureLink)]
    texts = [one for one in found if isinstance(one, str) and one.strip()]
    if len(pictures) + len(texts) != 1 or None in found:
        raise BadRequestError(
            f"messages have {len(pictures)} pictures and {len(texts)} texts; the model embeds one of either.",
            hint="send each in a request, or several in input.",
            param="messages",
        )
    return (pictures or texts)[0]


def _of_part(part: object, param: str) -> EmbeddableInput | None:
    """Return the text or picture in an object, None if there is none."""
    if not isinstance(part, dict):
        return None
    for key in ("image", "image_url", "input_image", "url"):
        value = part.get(key)
        if isinstance(value, dict):
            value = value.get("url")
        if isinstance(value, str) and value:
            return _picture(value, param)
    text = part.get("text")
    return text if isinstance(text, str) and text else None


def _picture(written: str, param: str) -> PictureLink:
    """Return the link of a picture: a URL, or the base64 of its bytes."""
    if written[:6].lower().startswith(_URL_PREFIXES):
        return PictureLink(written)
    try:
        binascii.a2b_base64(written[:64].encode("ascii"), strict_mode=False)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadRequestError(
            f"{param} has a picture that is neither a URL nor base64.", hint=_PICTURE_HINT, param=param
        ) from error
    return PictureLink(f"data:;base64,{written}")


def _require_few(values: Sequence[object]) -> None:
    if len(values) > MAX_TEXTS:
        raise BadRequestError(
            f"input has {len(values)} texts (limit {MAX_TEXTS}).", hint="send fewer.", param="input"
        )


def _token_ids() -> BadRequestError:
    return BadRequestError(
        "input has token ids, which belong to another model's tokenizer.",
        hint="send texts; in LangChain, check_embedding_ctx_length=False does that.",
        param="input",
    )
