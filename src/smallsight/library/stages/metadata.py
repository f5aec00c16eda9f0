"""The stage ``metadata``: words, date, camera and place from the metadata of a picture."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import sqlalchemy as sa

from smallsight.errors import PictureError
from smallsight.library.file_words import apply_file_words, store_metadata
from smallsight.library.kinship import share_taken
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.stages.describe import DESCRIBE
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE
from smallsight.library.texts import renew_searchable
from smallsight.media.metadata.words import FileWords
from smallsight.settings import Settings

METADATA = StageName("metadata")
METADATA_KEY = "metadata-2"
_DESCRIBED_BY = "SELECT description_source FROM content WHERE id = ?"


class MetadataWork:
    """Stores the words of each picture's metadata, and makes them its description and tags."""

    activity = "Looking at pictures"
    needs = Needs.METADATA
    holds_back = False
    contents_per_lease = CONTENTS_PER_LEASE
    stages = (Stage(METADATA, METADATA_KEY),)

    def __init__(self, settings: Settings) -> None:
        self._max_chars = settings.limits.max_text_chars

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Store the words of each picture."""
        for content in contents:
            if content.is_due(METADATA):
                self._store(content, outcomes)
            yield content

    def _store(self, content: OpenedContent, outcomes: Outcomes) -> None:
        content_id, words = content.task.content_id, content.words

        def write(connection: sa.Connection) -> None:
            if isinstance(words, FileWords):
                store_metadata(connection, content_id, words.cut(self._max_chars))
            if changed := apply_file_words(connection, [content_id]):
                renew_searchable(connection, changed)
            share_taken(connection, content_id)
            source = connection.exec_driver_sql(_DESCRIBED_BY, (content_id,)).scalar()
            if source == "human":  # the stage may be leased already, for the same opening of the file
                content.settled.add(DESCRIBE)

        error = words if isinstance(words, PictureError) else None
        outcomes.store([Ended(content, METADATA, content.take_opening_s(), error)], write)
