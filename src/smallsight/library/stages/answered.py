"""Pairs contents with the answers of a model, for stages that ask about several pictures at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, TypeVar

from smallsight.library.opened_content import OpenedContent

_MAX_UNASKED = 8  # that wait while the model is busy; more would only use memory

Given = TypeVar("Given")
Reaction = TypeVar("Reaction")


def answered(
    contents: Iterator[OpenedContent],
    is_asked: Callable[[OpenedContent], bool],
    give: Callable[[OpenedContent], Given],
    ask: Callable[[Iterator[Given]], Generator[Reaction, None, None]],
) -> Generator[tuple[OpenedContent, Reaction | None, float], None, None]:
    """Yield each content with its answer and the seconds that the answer took.

    ``is_asked`` is called once per content; if it returns False, the answer is None. ``ask`` answers what
    ``give`` returns, in order, and may consume a few ahead; it is closed with this generator. The time spent
    on getting contents does not count.
    """
    for content in contents:
        if is_asked(content):
            yield from _answered_from(content, _Supply(contents, is_asked, give), ask)
        else:
            yield content, None, 0.0


def _answered_from(
    first: OpenedContent,
    supply: _Supply[Given],
    ask: Callable[[Iterator[Given]], Generator[Reaction, None, None]],
) -> Generator[tuple[OpenedContent, Reaction | None, float], None, None]:
    """Call ``ask`` once, until the supply ends."""
    with closing(ask(supply.given_from(first))) as reactions:
        started_s = time.perf_counter()
        for reaction in reactions:
            seconds = time.perf_counter() - started_s - supply.take_getting_s()
            yield supply.asked.popleft(), reaction, max(seconds, 0.0)
            yield from supply.take_unasked()
            started_s = time.perf_counter()
    yield from supply.take_unasked()


class _Supply(Generic[Given]):
    """The input of one call of ``ask``; ends with the contents, or when too many are not asked about."""

    def __init__(
        self,
        contents: Iterator[OpenedContent],
        is_asked: Callable[[OpenedContent], bool],
        give: Callable[[OpenedContent], Given],
    ) -> None:
        self._contents = contents
        self._is_asked = is_asked
        self._give = give
        self._unasked: list[OpenedContent] = []
        self._getting_s = 0.0
        self.asked: deque[OpenedContent] = deque()  # and not answered yet

    def given_from(self, first: OpenedContent) -> Iterator[Given]:
        content: OpenedContent | None = first
        is_asked = True
        while content is not None:
            if is_asked:
                self.asked.append(content)
                yield self._give(content)
            else:
                self._unasked.append(content)
                if len(self._unasked) >= _MAX_UNASKED:
                    return
            started_s = time.perf_counter()
            content = next(self._contents, None)
            is_asked = content is not None and self._is_asked(content)
            self._getting_s += time.perf_counter() - started_s

    def take_unasked(self) -> Iterator[tuple[OpenedContent, None, float]]:
        unasked, self._unasked = self._unasked, []
        for content in unasked:
            yield content, None, 0.0

    def take_getting_s(self) -> float:
        seconds, self._getting_s = self._getting_s, 0.0
        return seconds
