"""The model ``test``, which answers with the words of the file's name, for tests and smoke checks.

It decodes every picture like a real model, so that an unreadable one is an error here too.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import psutil

from smallsight.errors import ArgumentError, PictureError, SmallsightError
from smallsight.families.frame_sampling import FewFrames, FrameSampling
from smallsight.model.answer import Answer, MemoryReport, TileCounts, Timings, Usage
from smallsight.model.conversation import Question, pictures_in, texts_in
from smallsight.model.model import DEFAULT_MAX_TOKENS, MAX_PLACES, BatchSize
from smallsight.model.picture_argument import (
    NamedVideo,
    PictureArgument,
    Pictures,
    list_pictures,
    name_of_picture,
    refuse_one_picture,
)
from smallsight.model.reply import FinishedReply, Reply, spaced_words
from smallsight.model.scoring import GivenAnswer, Scores
from smallsight.model.shown_parts import PartKind, PartOpener
from smallsight.settings import Limits

__all__ = ["TestModel", "words_of_name"]

_BETWEEN_WORDS = re.compile(r"[\s._-]+")
_NAMELESS = ("picture", "without", "a", "name")
_NO_PICTURE = ("no", "picture")


class TestModel:
    """Answers everything with the words of the file's name; a word is a token. Not thread-safe.

    The same name always gives the same text, whatever the question, the options and the other pictures.
    """

    name = "test"
    key = "test-1"
    precision: str | None = None
    tasks: frozenset[str] = frozenset()
    supports_chat = True
    knows_tools = False
    is_batch_independent = True
    frame_sampling: FrameSampling = FewFrames()
    tile_counts = TileCounts()

    def __init__(self, limits: Limits | None = None) -> None:
        self._opener = PartOpener(limits or Limits(), self.frame_sampling)

    def __repr__(self) -> str:
        return f"<smallsight model {self.name!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def recall(self, name: str | None, digest: bytes, detail: str = "auto") -> None:
        """Return None: pictures are not cached."""

    @property
    def memory(self) -> MemoryReport:
        """No weights, and the process's resident memory."""
        return MemoryReport(weights_bytes=0, resident_bytes=int(psutil.Process().memory_info().rss))

    def close(self) -> None:
        """End the decoding process."""
        self._opener.close()

    def describe(
        self,
        picture: PictureArgument,
        *,
        prompt: str | None = None,
        length: str | None = None,  # noqa: ARG002 - the model's interface
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",  # noqa: ARG002 - the model's interface
        **sampling: Any,  # noqa: ANN401 - the model's interface
    ) -> Answer:
        """Return the words of the file's name; raises PictureError or ArgumentError."""
        _reject_schema(sampling)
        return self._answer([picture], prompt or "", max_tokens)

    def ask(
        self,
        pictures: Pictures,
        question: Question,
        *,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",  # noqa: ARG002 - the model's interface
        **sampling: Any,  # noqa: ANN401 - the model's interface
    ) -> Answer:
        """Return the words of the files' names, whatever the question; "no picture" without a picture."""
        _reject_schema(sampling)
        return self._answer(list_pictures(pictures), question, max_tokens)

    def stream(
        self,
        pictures: Pictures,
        question: Question | None = None,
        *,
        length: str | None = None,  # noqa: ARG002 - the model's interface
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",  # noqa: ARG002 - the model's interface
        **sampling: Any,  # noqa: ANN401 - the model's interface
    ) -> Iterator[str]:
        """Yield the words of the files' names one by one, each with the preceding space."""
        _reject_schema(sampling)
        yield from spaced_words(self._answer(list_pictures(pictures), question or "", max_tokens).text)

    def start(
        self,
        pictures: Pictures,
        question: Question | None = None,
        *,
        length: str | None = None,  # noqa: ARG002 - the model's interface
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        detail: str = "auto",  # noqa: ARG002 - the model's interface
        **sampling: Any,  # noqa: ANN401 - the model's interface
    ) -> Reply:
        """Answer at once; raises ArgumentError for a JSON schema, which is not supported."""
        _reject_schema(sampling)
        answer = self._answer(list_pictures(pictures), question or "", max_tokens)
        return FinishedReply(answer, spaced_words(answer.text))

    def describe_many(
        self,
        pictures: Iterable[PictureArgument],
        *,
        batch_size: BatchSize = "auto",  # noqa: ARG002 - the model's interface
        prompt: str | None = None,
        length: str | None = None,  # noqa: ARG002 - the model's interface
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401 - the model's interface
    ) -> Iterator[Answer | SmallsightError]:
        """Yield the words of each file's name, or the error of a picture that cannot be opened, in order."""
        refuse_one_picture(pictures)
        for picture in pictures:
            try:
                yield self.describe(picture, prompt=prompt, max_tokens=max_tokens, detail=detail, **sampling)
            except PictureError as error:
                yield error

    def detect(
        self,
        picture: PictureArgument,  # noqa: ARG002 - the model's interface
        what: str,  # noqa: ARG002 - the model's interface
        *,
        max_places: int = MAX_PLACES,  # noqa: ARG002 - the model's interface
        detail: str = "auto",  # noqa: ARG002 - the model's interface
    ) -> Answer:
        """Raise ArgumentError: not supported."""
        raise ArgumentError('The model "test" cannot detect objects.', hint="load moondream2.")

    def point(
        self, picture: PictureArgument, what: str, *, max_places: int = MAX_PLACES, detail: str = "auto"
    ) -> Answer:
        """Raise ArgumentError: not supported."""
        return self.detect(picture, what, max_places=max_places, detail=detail)

    def score(
        self,
        pictures: Pictures,  # noqa: ARG002 - the model's interface
        question: Question | None,  # noqa: ARG002 - the model's interface
        answer: GivenAnswer,  # noqa: ARG002 - the model's interface
        *,
        detail: str = "auto",  # noqa: ARG002 - the model's interface
    ) -> Scores:
        """Raise ArgumentError: not supported."""
        raise ArgumentError('The model "test" cannot score answers.', hint="load Smallsight-tiny.")

    def count_tokens(
        self,
        pictures: Pictures,
        question: Question,
        *,
        detail: str = "auto",  # noqa: ARG002 - the model's interface
        tools: str | None = None,  # noqa: ARG002 - the model's interface
    ) -> int:
        """Return the number of words of the question; pictures have no tokens."""
        return self._answer(list_pictures(pictures), question, 1).usage.prompt_tokens

    def frames_of(self, video: PictureArgument) -> NamedVideo:
        """Open a few frames of a video."""
        return self._opener.video(video)

    def _answer(
        self, pictures: Sequence[PictureArgument], question: Question, max_tokens: int | None
    ) -> Answer:
        started_s = time.perf_counter()
        words: list[str] = []
        shown = [*pictures, *pictures_in(question)]
        for picture in shown:
            self._opener.open(picture, PartKind.ONE_OF_SEVERAL)
            words.extend(words_of_name(name_of_picture(picture)))
        words = words if shown else list(_NO_PICTURE)
        answered = words[:max_tokens]
        seconds = time.perf_counter() - started_s
        return Answer(
            text=" ".join(answered),
            token_ids=tuple(zlib.crc32(word.encode()) for word in answered),
            finish_reason="stop" if len(answered) == len(words) else "length",
            usage=Usage(
                prompt_tokens=sum(len(text.split()) for text in texts_in(question)),
                image_tokens=0,
                completion_tokens=len(answered),
            ),
            timings=Timings(decode_picture_s=seconds, total_s=seconds),
            model=self.name,
        )


def _reject_schema(sampling: Mapping[str, Any]) -> None:
    if sampling.get("json_schema") is not None:
        raise ArgumentError('The model "test" cannot produce JSON.', hint="choose another model.")


def words_of_name(name: str | None) -> tuple[str, ...]:
    """Split a file's name without its suffix into words: "cat-on-sofa_2.jpg" is cat, on, sofa, 2."""
    stem = (name or "").rpartition(".")[0] or (name or "")
    return tuple(word for word in _BETWEEN_WORDS.split(stem) if word) or _NAMELESS
