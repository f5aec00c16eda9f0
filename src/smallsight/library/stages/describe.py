"""The stage ``describe``: a model's description of a picture, unless a person has written one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

import sqlalchemy as sa

from smallsight.errors import SmallsightError
from smallsight.library.describing import DescribeOptions, PictureDescriber, imported_key
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.schema import content as content_table
from smallsight.library.schema import outcome
from smallsight.library.stages.answered import answered
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE
from smallsight.library.texts import renew_searchable, store_description
from smallsight.settings import Settings

DESCRIBE = StageName("describe")


class DescribeWork:
    """Describes every picture below the folders in the settings, or all pictures if there are none."""

    activity = "Describing pictures"
    holds_back = True
    contents_per_lease = CONTENTS_PER_LEASE

    def __init__(self, describer: PictureDescriber, settings: Settings) -> None:
        self._describer = describer
        wanted, maker = settings.describe, describer.maker
        options = DescribeOptions(maker.prompt, wanted.detail, wanted.max_tokens, wanted.length)
        self._imported = imported_key(maker.model, wanted.precision, options)
        self._max_chars = settings.limits.max_text_chars
        self.needs = Needs.FULL_SIZE | Needs.MOVING if describer.sees_videos else Needs.FULL_SIZE
        self.stages = (
            Stage(
                DESCRIBE,
                describer.key,
                folders=tuple(path.expanduser().resolve().as_posix() for path in settings.describe.folders),
                only=sa.and_(
                    content_table.c.description_source.is_distinct_from("human"),
                    ~_is_imported(self._imported),
                ),
            ),
        )

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Describe pictures, several at once."""

        def is_asked(content: OpenedContent) -> bool:
            is_due = content.is_due(DESCRIBE)
            error = content.error or content.full_size_error
            if is_due and error is not None:
                self._store(content, error, 0.0, outcomes)
            return is_due and error is None

        give = OpenedContent.take_shown
        with closing(answered(contents, is_asked, give, self._describer.describe)) as answers:
            for content, answer, seconds in answers:
                if answer is not None:
                    self._store(content, answer, seconds, outcomes)
                yield content

    def _store(
        self, content: OpenedContent, answer: str | SmallsightError, seconds: float, outcomes: Outcomes
    ) -> None:
        content_id = content.task.content_id

        def write(connection: sa.Connection) -> None:
            if isinstance(answer, str) and store_description(
                connection, content_id, answer, self._describer.maker, self._max_chars
            ):
                renew_searchable(connection, [content_id])

        error = answer if isinstance(answer, SmallsightError) else None
        seconds += content.take_opening_s()
        outcomes.store([Ended(content, DESCRIBE, seconds, error)], write)


def _is_imported(key: str) -> sa.ColumnElement[bool]:
    """Return the condition that the same request was answered elsewhere, and the answer imported."""
    return sa.exists().where(
        outcome.c.content_id == content_table.c.id, outcome.c.stage == DESCRIBE, outcome.c.key == key
    )
