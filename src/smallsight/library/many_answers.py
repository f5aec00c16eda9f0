"""Has a model answer one or more prompts about each of many pictures, in order; some cannot be opened."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import TypeAlias, TypeVar, cast

from smallsight.errors import SmallsightError
from smallsight.library.describing import DescribeOptions
from smallsight.model.answer import Answer
from smallsight.model.model import BatchSize, Model
from smallsight.model.picture_argument import NamedBytes, NamedImage

__all__ = ["Answers", "ShownPicture", "answer_each"]

ShownPicture: TypeAlias = NamedBytes | NamedImage
Answers: TypeAlias = tuple[Answer | SmallsightError, ...]  # one for each prompt, in order

_AT_ONCE = 15  # of all prompts together; as many as describe_many takes by default
_About = TypeVar("_About")


def answer_each(
    model: Model,
    pictures: Iterable[tuple[_About, ShownPicture | SmallsightError]],
    prompts: Sequence[DescribeOptions],
) -> Generator[tuple[_About, Answers | SmallsightError], None, None]:
    """Yield the answers about each picture, or its error, in order; closing the generator stops the model.

    ``pictures`` pairs each with what it is returned with. Only as many as the model works on at once are in
    memory, and a picture is opened once for all prompts.
    """
    waiting: deque[tuple[_About, SmallsightError | None]] = deque()

    def readable() -> Iterator[ShownPicture]:
        for about, picture in pictures:
            if isinstance(picture, SmallsightError):
                waiting.append((about, picture))
            else:
                waiting.append((about, None))
                yield picture

    def unreadable_first() -> Iterator[tuple[_About, SmallsightError]]:
        while waiting and (error := waiting[0][1]) is not None:
            yield waiting.popleft()[0], error

    at_once: BatchSize = "auto" if len(prompts) == 1 else max(1, _AT_ONCE // len(prompts))
    with ExitStack() as opened:
        streams = [
            opened.enter_context(closing(_answers(model, one, options, at_once)))
            for one, options in zip(_copies(readable(), len(prompts)), prompts, strict=True)
        ]
        for answers in zip(*streams, strict=True):
            yield from unreadable_first()
            yield waiting.popleft()[0], answers
        yield from unreadable_first()


def _copies(pictures: Iterator[ShownPicture], number: int) -> list[Iterator[ShownPicture]]:
    """Return iterators over the same pictures; ``itertools.tee`` would keep 57 of them in memory."""
    queues: list[deque[ShownPicture]] = [deque() for _ in range(number)]

    def copy(queue: deque[ShownPicture]) -> Iterator[ShownPicture]:
        while True:
            if not queue:
                picture = next(pictures, None)
                if picture is None:
                    return
                for one in queues:
                    one.append(picture)
                del picture
            yield queue.popleft()

    return [copy(queue) for queue in queues]


def _answers(
    model: Model, pictures: Iterator[ShownPicture], options: DescribeOptions, at_once: BatchSize
) -> Generator[Answer | SmallsightError, None, None]:
    return cast(
        "Generator[Answer | SmallsightError, None, None]",
        model.describe_many(
            pictures,
            batch_size=at_once,
            prompt=options.prompt,
            length=options.length,
            max_tokens=options.max_tokens,
            detail=options.detail,
        ),
    )
