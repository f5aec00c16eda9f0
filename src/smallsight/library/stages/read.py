"""The stage ``read``: the text in a picture, by an OCR program."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
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
from smallsight.settings import Settings

log = get_logger(__name__)

READ = StageName("read")


class TextReading(Protocol):
    """Reads text; ``smallsight.reading.text_reader`` has the shipped implementation."""

    @property
    def key(self) -> str:
        """Identify everything that affects the result: program, version, model, settings."""
        ...

    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]:
        """Return the lines in a uint8 RGB image in reading order; raises PictureError if it cannot."""
        ...


class ReadWork:
    """Reads every picture and stores its lines."""

    activity = "Reading pictures"
    needs = Needs.READABLE
    holds_back = False
    contents_per_lease = CONTENTS_PER_LEASE

    def __init__(self, reader: TextReading, settings: Settings) -> None:
        self._reader = reader
        self._max_chars = settings.limits.max_text_chars
        self.stages = (Stage(READ, reader.key),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Read one picture after another."""
        for content in contents:
            if content.is_due(READ):
                self._read(content, outcomes)
            yield content

    def _read(self, content: OpenedContent, outcomes: Outcomes) -> None:
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
        seconds = content.take_opening_s() + time.perf_counter() - started_s

        def write(connection: sa.Connection) -> None:
            if error is None:
                store_lines(connection, content.task.content_id, lines, self._max_chars)
                if lines:
                    renew_searchable(connection, [content.task.content_id])

        outcomes.store([Ended(content, READ, seconds, error)], write)
