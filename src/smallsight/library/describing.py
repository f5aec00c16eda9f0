"""What the library asks of whatever describes pictures, and how a model answers it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from smallsight.errors import SmallsightError
from smallsight.model.answer import Answer
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes

__all__ = ["DescribeOptions", "ModelDescriber", "PictureDescribing"]

_VERSION = "describe-1"


class PictureDescribing(Protocol):
    """Describes pictures; ``ModelDescriber`` is the one that is shipped."""

    @property
    def key(self) -> str:
        """Name everything that decides the result: model, prompt, settings."""
        ...

    @property
    def model_name(self) -> str:
        """The name to store beside a description."""
        ...

    def describe(self, pictures: Iterable[NamedBytes]) -> Generator[str | SmallsightError, None, None]:
        """Yield a description, or why there is none, for each picture in order; closing it ends the work.

        Pictures are taken as they are needed, in the thread that asks for descriptions.
        """
        ...


@dataclass(frozen=True, slots=True)
class DescribeOptions:
    """How a model is asked; without a prompt, by its family's own."""

    prompt: str | None = None
    detail: str = "auto"
    max_tokens: int = 96
    length: str | None = None


class ModelDescriber:
    """Describes pictures with a loaded model, which it does not close."""

    def __init__(self, model: Model, options: DescribeOptions) -> None:
        self._model = model
        self._options = options
        length = () if options.length is None else (options.length,)
        asked = json.dumps([options.prompt, options.detail, options.max_tokens, *length])
        self.key = f"{_VERSION}:{model.key}:{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
        self.model_name = model.name

    def describe(self, pictures: Iterable[NamedBytes]) -> Generator[str | SmallsightError, None, None]:
        """Yield a description, or why there is none, for each picture; closing it stops the model."""
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
