"""The stage ``read``: the text in a picture, by an OCR program."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import sqlalchemy as sa

from smallsight.errors import PictureError, UnexpectedPictureError
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE
from smallsight.library.texts import renew_searchable, store_lines
from smallsight.media.reading_size import is_paged
from smallsight.policy.log import get_logger
from smallsight.reading.pages import read_pages
from smallsight.reading.text_line import TextLine
from smallsight.settings import MIB, Settings

log = get_logger(__name__)

READ = StageName("read")
_MAX_HELD_BYTES = 48 * MIB  # of pixels, unless one picture alone has more


class TextReading(Protocol):
    """Reads text; ``smallsight.reading.text_reader`` has the shipped implementation."""

    @property
    def key(self) -> str:
        """Identify everything that affects the result: program, version, model, settings."""
        ...

    @property
    def num_at_once(self) -> int:
        """How many images it takes at the same time, each from another thread."""
        ...

    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]:
        """Return the lines in a uint8 RGB image in reading order; raises PictureError if it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was read, or why nothing was, and the seconds that it took."""

    lines: Sequence[TextLine]
    error: PictureError | None
    seconds: float


class ReadWork:
    """Reads every picture and stores its lines."""

    activity = "Reading pictures"
    needs = Needs.READABLE
    holds_back = False  # only as many as are read at once, and one more
    contents_per_lease = CONTENTS_PER_LEASE

    def __init__(self, reader: TextReading, settings: Settings) -> None:
        self._reader = reader
        self._max_chars = settings.limits.max_text_chars
        self.stages = (Stage(READ, reader.key),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Yield the contents in order; what is read of one does not depend on the others.

        A reader of several pictures goes on with the next ones while the result of one is stored. Pixels that
        are being read for another content are not read again, just as those of which the result is stored.
        """
        if self._reader.num_at_once == 1:
            for content in contents:
                yield self._stored(content, self._read(content) if content.is_due(READ) else None, outcomes)
            return
        threads = ThreadPoolExecutor(self._reader.num_at_once, "smallsight-reading")
        begun: deque[tuple[OpenedContent, Future[_Reading] | None]] = deque()

        def first() -> OpenedContent:
            content, reading = begun.popleft()
            return self._stored(content, None if reading is None else reading.result(), outcomes)

        try:
            for content in contents:
                reading = None
                if content.is_due(READ):
                    same = (one for other, one in begun if one is not None and _are_same(content, other))
                    reading = next(same, None) or threads.submit(self._read, content)
                begun.append((content, reading))
                while len(begun) > self._reader.num_at_once or _num_bytes(begun) > _MAX_HELD_BYTES:
                    yield first()
            while begun:
                yield first()
        finally:  # who interrupts does not wait for a picture
            threads.shutdown(wait=False, cancel_futures=True)

    def _read(self, content: OpenedContent) -> _Reading:
        started_s = time.perf_counter()
        lines: Sequence[TextLine] = ()
        error = content.error
        picture = content.picture
        if picture is not None and picture.pages_HWC:
            try:
                lines = read_pages(
                    picture.pages_HWC,
                    self._reader.read,
                    are_moments=not is_paged(picture.format),
                )
            except PictureError as failure:
                error = failure
            except Exception as failure:
                log.info("picture_unexpected", path=str(content.path), exc_info=True)
                error = UnexpectedPictureError.of(failure)
        return _Reading(lines, error, time.perf_counter() - started_s)

    def _stored(self, content: OpenedContent, reading: _Reading | None, outcomes: Outcomes) -> OpenedContent:
        if reading is None:
            return content

        def write(connection: sa.Connection) -> None:
            if reading.error is None:
                store_lines(connection, content.task.content_id, reading.lines, self._max_chars)
                if reading.lines:
                    renew_searchable(connection, [content.task.content_id])

        seconds = content.take_opening_s() + reading.seconds
        outcomes.store([Ended(content, READ, seconds, reading.error)], write)
        return content


def _are_same(one: OpenedContent, other: OpenedContent) -> bool:
    """Return whether two contents are still pictures that look the same to a reader."""
    if one.picture is None or other.picture is None or one.error or other.error:
        return False
    if (one.picture.phash, one.picture.dhash) != (other.picture.phash, other.picture.dhash):
        return False
    pages, other_pages = one.picture.pages_HWC, other.picture.pages_HWC
    return len(pages) == len(other_pages) == 1 and np.array_equal(pages[0], other_pages[0])


def _num_bytes(begun: Iterable[tuple[OpenedContent, object]]) -> int:
    """Return the size of all pixels that contents hold."""
    pictures = [content.picture for content, _ in begun if content.picture is not None]
    arrays = [array for one in pictures for array in (one.image_HWC, one.full_size_HWC, *one.pages_HWC)]
    return sum({id(array): array.nbytes for array in arrays if array is not None}.values())
