"""Describes pictures with a model; owns the options and the key of everything that affects the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from smallsight.errors import SmallsightError
from smallsight.library.version_keeping import DescriptionMaker
from smallsight.model.answer import Answer
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage

__all__ = [
    "DESCRIBING_VERSION",
    "DescribeOptions",
    "ModelDescriber",
    "PictureDescriber",
    "imported_key",
]

DESCRIBING_VERSION = "describe-2"  # 2: an answer does not end before it has text


@dataclass(frozen=True, slots=True)
class DescribeOptions:
    """The options of a description; without ``prompt`` the family's default prompt is used."""

    prompt: str | None = None
    detail: str = "auto"
    max_tokens: int = 96
    length: str | None = None


def imported_key(model: str, precision: str, options: DescribeOptions) -> str:
    """Return the key of an outcome that another library or run has made, with a precision as asked for.

    The answers of two machines to the same request may differ in a word; they count as the same work.
    """
    request = [model, precision, options.prompt, options.detail, options.max_tokens, options.length]
    return f"imported:{hashlib.sha256(json.dumps(request).encode()).hexdigest()[:16]}"


class PictureDescriber(Protocol):
    """Describes pictures with a model that it owns or borrows.

    ``key`` identifies everything that affects the result: model, prompt, settings. ``maker`` is what is kept
    with a description. With ``sees_videos`` an animation should be passed as its file, so that the model sees
    more of it than the first frame.
    """

    key: str
    maker: DescriptionMaker
    sees_videos: bool

    def describe(
        self, pictures: Iterable[NamedBytes | NamedImage]
    ) -> Generator[str | SmallsightError, None, None]:
        """Yield a description or an error for each picture in order; closing the generator stops the work.

        Pictures are consumed on demand, in the calling thread.
        """
        ...


class ModelDescriber:
    """A ``PictureDescriber`` for a loaded model, which it does not close."""

    def __init__(self, model: Model, options: DescribeOptions) -> None:
        self._model = model
        self._options = options
        length = () if options.length is None else (options.length,)
        options_json = json.dumps([options.prompt, options.detail, options.max_tokens, *length])
        self.key = (
            f"{DESCRIBING_VERSION}:{model.key}:{hashlib.sha256(options_json.encode()).hexdigest()[:16]}"
        )
        self.maker = DescriptionMaker(model.name, model.precision, options.prompt)
        self.sees_videos = model.frame_sampling.knows_videos

    def describe(
        self, pictures: Iterable[NamedBytes | NamedImage]
    ) -> Generator[str | SmallsightError, None, None]:
        """Yield a description or an error for each picture in order; closing it stops the model."""
        answers = self._model.describe_many(
            pictures,
            prompt=self._options.prompt,
            detail=self._options.detail,
            max_tokens=self._options.max_tokens,
            length=self._options.length,
        )
        try:
            for answer in answers:
                yield answer.text if isinstance(answer, Answer) else answer
        finally:
            close = getattr(answers, "close", None)  # a generator's; other iterators have none
            if close is not None:
                close()
