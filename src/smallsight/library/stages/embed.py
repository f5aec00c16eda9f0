"""The stage ``embed``: vectors of a content's texts, recomputed whenever a text changes."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from itertools import islice

import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.embedding import TextEmbedding, store_vectors, texts_to_embed
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes

EMBED = StageName("embed")


class EmbedWork:
    """Embeds the texts of many contents at once."""

    activity = "Understanding texts"
    needs = Needs.NOTHING
    holds_back = True
    contents_per_lease = 256

    def __init__(self, embedder: TextEmbedding, database: Database) -> None:
        self._embedder = embedder
        self._database = database
        self.stages = (Stage(EMBED, embedder.key, follows_text=True),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Embed the texts of a batch, and store all its vectors in one transaction."""
        while batch := list(islice(contents, self.contents_per_lease)):
            self._embed([content for content in batch if content.is_due(EMBED)], outcomes)
            yield from batch

    def _embed(self, contents: Sequence[OpenedContent], outcomes: Outcomes) -> None:
        if not contents:
            return
        started_s = time.perf_counter()
        content_ids = [content.task.content_id for content in contents]
        with self._database.reading() as connection:
            texts = texts_to_embed(connection, content_ids)
        vectors_ND = self._embedder.embed([text for _, text in texts])
        seconds = (time.perf_counter() - started_s) / len(contents)

        def write(connection: sa.Connection) -> None:
            store_vectors(connection, content_ids, texts, vectors_ND, self._embedder.key)

        outcomes.store([Ended(content, EMBED, seconds) for content in contents], write)
