"""The stage ``tag``: a model's labels for a picture, and its text if there is no OCR program."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

import sqlalchemy as sa

from smallsight.errors import SmallsightError
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.stages.answered import answered
from smallsight.library.stages.read import READ
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE
from smallsight.library.tagging import PictureTagger, TaggedPicture, TagRequest
from smallsight.library.texts import renew_searchable, store_lines, store_machine_tags
from smallsight.settings import Settings

TAG = StageName("tag")


class TagWork:
    """Tags pictures and, with ``reads``, reads their text."""

    activity = "Tagging pictures"
    needs = Needs.FULL_SIZE
    holds_back = True
    contents_per_lease = CONTENTS_PER_LEASE

    def __init__(self, tagger: PictureTagger, settings: Settings, *, reads: bool) -> None:
        self._tagger = tagger
        self._max_chars = settings.limits.max_text_chars
        reading = (Stage(READ, tagger.reading_key),) if reads else ()
        self.stages = (Stage(TAG, tagger.key), *reading)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Tag pictures, a few at once."""

        def is_asked(content: OpenedContent) -> bool:
            is_due = bool(self._due(content))
            error = content.error or content.full_size_error
            if is_due and error is not None:
                self._store(content, TaggedPicture(error, error), 0.0, outcomes)
            return is_due and error is None

        def give(content: OpenedContent) -> TagRequest:
            due = self._due(content)
            return TagRequest(content.take_shown(), TAG in due, READ in due)

        with closing(answered(contents, is_asked, give, self._tagger.tag)) as answers:
            for content, found, seconds in answers:
                if found is not None:
                    self._store(content, found, seconds, outcomes)
                yield content

    def _due(self, content: OpenedContent) -> list[StageName]:
        return [stage.name for stage in self.stages if content.is_due(stage.name)]

    def _store(
        self, content: OpenedContent, found: TaggedPicture, seconds: float, outcomes: Outcomes
    ) -> None:
        """Store tags and lines, whichever were due; the time is split equally between the stages."""
        content_id = content.task.content_id
        results = {TAG: found.tags, READ: found.lines}
        due = self._due(content)
        seconds += content.take_opening_s()

        def write(connection: sa.Connection) -> None:
            has_changed = False
            if TAG in due and isinstance(found.tags, tuple):
                has_changed |= store_machine_tags(connection, content_id, found.tags)
            if READ in due and isinstance(found.lines, tuple):
                has_changed |= store_lines(connection, content_id, found.lines, self._max_chars)
            if has_changed:
                renew_searchable(connection, [content_id])

        ended = [
            Ended(content, stage, seconds / len(due), result if isinstance(result, SmallsightError) else None)
            for stage in due
            for result in (results[stage],)
        ]
        outcomes.store(ended, write)
