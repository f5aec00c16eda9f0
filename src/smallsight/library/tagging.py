"""Tags pictures with a model; decides which tasks it runs and which of its labels become tags."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from PIL import Image

from smallsight.errors import PictureError, SmallsightError
from smallsight.library.search.tokens import normalise
from smallsight.model.answer import Answer
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedBytes, NamedImage, PictureOpener
from smallsight.reading.text_line import TextLine
from smallsight.settings import Limits

__all__ = [
    "NEEDED_TASKS",
    "ModelTagger",
    "PictureTagger",
    "TagRequest",
    "TaggedPicture",
    "lines_of_quads",
    "tags_of_labels",
]

_VERSION = "tag-1"
_TASKS_OF_LABELS = ("<OD>", "<DENSE_REGION_CAPTION>")  # object classes first: they are more reliable
_TASK_OF_TEXT = "<OCR_WITH_REGION>"
NEEDED_TASKS = frozenset((*_TASKS_OF_LABELS, _TASK_OF_TEXT))
_MAX_TAGS = 32
_MAX_TAG_WORDS = 4
_MAX_TAG_CHARS = 40
_MAX_TOKENS_OF_LABELS = 256  # 32 objects with their locations
_MAX_TOKENS_OF_TEXT = 1023  # the most that Florence-2 generates
_LOCATION = re.compile(r"<?loc_\d+>")  # left over from malformed answers
_PICTURES_AT_ONCE = 4  # held at full resolution until every task is done


@dataclass(frozen=True, slots=True)
class TagRequest:
    """A picture, and which results are wanted."""

    picture: NamedBytes | NamedImage
    wants_tags: bool = True
    wants_lines: bool = False


@dataclass(frozen=True, slots=True)
class TaggedPicture:
    """The tags and lines of one picture, or the errors; None for what was not wanted."""

    tags: tuple[str, ...] | SmallsightError | None = None
    lines: tuple[TextLine, ...] | SmallsightError | None = None


class PictureTagger(Protocol):
    """Tags and reads pictures with a model that it owns or borrows.

    ``key`` identifies everything that affects the tags, ``reading_key`` everything that affects the lines.
    """

    key: str
    reading_key: str

    def tag(self, requests: Iterable[TagRequest]) -> Generator[TaggedPicture, None, None]:
        """Yield the result of each request in order; closing the generator stops the work.

        Pictures are consumed on demand, in the calling thread.
        """
        ...


class ModelTagger:
    """A ``PictureTagger`` for a loaded model that supports NEEDED_TASKS; it does not close the model."""

    def __init__(self, model: Model, limits: Limits) -> None:
        self._model = model
        self._limits = limits
        self.key = f"{_VERSION}:{model.key}"
        self.reading_key = f"{_VERSION}-lines:{model.key}"

    def tag(self, requests: Iterable[TagRequest]) -> Generator[TaggedPicture, None, None]:
        """Yield the result of each request in order; a few pictures go through each task together."""
        with PictureOpener(self._limits) as opener:
            waiting = iter(requests)
            while some := list(islice(waiting, _PICTURES_AT_ONCE)):
                yield from self._tag_some(some, [_opened(opener, request.picture) for request in some])

    def _tag_some(
        self, requests: Sequence[TagRequest], images: Sequence[Image.Image | PictureError]
    ) -> list[TaggedPicture]:
        for_tags = [request.wants_tags for request in requests]
        for_lines = [request.wants_lines for request in requests]
        found = [self._ask(task, images, for_tags, _MAX_TOKENS_OF_LABELS) for task in _TASKS_OF_LABELS]
        tags = [_tags_of_answers(answers) for answers in zip(*found, strict=True)]
        read = self._ask(_TASK_OF_TEXT, images, for_lines, _MAX_TOKENS_OF_TEXT)
        lines = [_lines_of_answer(answer, image) for answer, image in zip(read, images, strict=True)]
        return [TaggedPicture(*both) for both in zip(tags, lines, strict=True)]

    def _ask(
        self,
        task: str,
        images: Sequence[Image.Image | PictureError],
        is_wanted: Sequence[bool],
        max_tokens: int,
    ) -> list[Answer | SmallsightError | None]:
        """Return an answer for each image, or the error in its place, or None if none is wanted."""
        asked = [
            image
            for image, wanted in zip(images, is_wanted, strict=True)
            if wanted and isinstance(image, Image.Image)
        ]
        answers = iter(list(self._model.describe_many(asked, prompt=task, max_tokens=max_tokens)))
        return [
            None if not wanted else next(answers) if isinstance(image, Image.Image) else image
            for image, wanted in zip(images, is_wanted, strict=True)
        ]


def tags_of_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels that make good tags, in lower case, without repeats, in their order, at most 32.

    A label of more than four words or 40 characters is a sentence and left out, as is part of a location.
    """
    tags: dict[str, str] = {}  # by the form in which tags are compared
    for label in labels:
        printable = "".join(mark if mark.isprintable() else " " for mark in label)
        words = printable.lower().split()
        name = " ".join(words)
        folded = normalise(name).strip()
        if _LOCATION.search(name) is not None:
            continue
        is_short = 0 < len(words) <= _MAX_TAG_WORDS and len(name) <= _MAX_TAG_CHARS
        if is_short and folded and any(mark.isalnum() for mark in name):
            tags.setdefault(folded, name)
    return tuple(tags.values())[:_MAX_TAGS]


def lines_of_quads(
    labels: Sequence[str], quads_px: Sequence[Sequence[float]], size_px: tuple[int, int]
) -> tuple[TextLine, ...]:
    """Return lines of text from quadrilaterals x, y, x, y, ... in pixels of a picture (width, height)."""
    return tuple(
        TextLine(
            text,
            1.0,  # the model reports none
            tuple(
                (_fraction(x, size_px[0]), _fraction(y, size_px[1]))
                for x, y in zip(quad[0::2], quad[1::2], strict=True)
            ),
        )
        for label, quad in zip(labels, quads_px, strict=True)
        if (text := " ".join(_LOCATION.sub(" ", label).split()))
    )


def _opened(opener: PictureOpener, picture: NamedBytes | NamedImage) -> Image.Image | PictureError:
    try:
        return opener.open(picture)
    except PictureError as error:
        return error


def _tags_of_answers(
    answers: Sequence[Answer | SmallsightError | None],
) -> tuple[str, ...] | SmallsightError | None:
    labels: list[str] = []
    for answer in answers:
        if not isinstance(answer, Answer):
            return answer
        labels.extend(_data(answer).get("labels", ()))
    return tags_of_labels(labels)


def _lines_of_answer(
    answer: Answer | SmallsightError | None, image: Image.Image | PictureError
) -> tuple[TextLine, ...] | SmallsightError | None:
    if not isinstance(answer, Answer) or not isinstance(image, Image.Image):
        return None if isinstance(answer, Answer) else answer
    data = _data(answer)
    return lines_of_quads(data.get("labels", ()), data.get("quad_boxes", ()), image.size)


def _data(answer: Answer) -> Mapping[str, Any]:
    return answer.data or {}


def _fraction(position_px: float, side_px: int) -> float:
    return min(max(position_px / side_px, 0.0), 1.0)
