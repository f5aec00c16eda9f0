"""The stage ``compare``: which other contents show the same picture as one, or a similar one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice

import sqlalchemy as sa

from smallsight.errors import PictureError
from smallsight.library.alike.comparing import Facts, Thumbnail, ViewTable, compared
from smallsight.library.alike.pairs import forget_pairs, read_views, store_pairs
from smallsight.library.database import Database
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.schema import content as content_table
from smallsight.library.stages.look import LOOK_KEY
from smallsight.library.thumbnails import thumbnail_path
from smallsight.media.decoder import PictureDecoder
from smallsight.settings import Settings

COMPARE = StageName("compare")
COMPARE_KEY = f"compare-3 {LOOK_KEY}"

SIDE_PX = 160  # at which thumbnails are compared


class CompareWork:
    """Compares many contents at once with all that were looked at; each pair of contents once."""

    activity = "Looking for copies"
    needs = Needs.NOTHING
    holds_back = True
    contents_per_lease = 512
    stages = (Stage(COMPARE, COMPARE_KEY),)

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Compare a batch, and store its pairs in one transaction."""
        table: ViewTable | None = None
        compared_before: set[int] = set()
        with PictureDecoder(self._settings.limits) as decoder:
            while batch := list(islice(contents, self.contents_per_lease)):
                if table is None:
                    table, compared_before = self._read_table()
                due = [content for content in batch if content.is_due(COMPARE)]
                self._compare(due, table, compared_before, decoder, outcomes)
                compared_before.update(content.task.content_id for content in due)
                yield from batch

    def _read_table(self) -> tuple[ViewTable, set[int]]:
        with self._database.cursor() as cursor:
            table = ViewTable(*read_views(cursor))
            rows = cursor.execute(
                "SELECT content_id FROM outcome WHERE stage = ? AND key = ?", (COMPARE, COMPARE_KEY)
            )
            return table, {row[0] for row in rows}

    def _compare(
        self,
        contents: Sequence[OpenedContent],
        table: ViewTable,
        compared_before: set[int],
        decoder: PictureDecoder,
        outcomes: Outcomes,
    ) -> None:
        if not contents:
            return
        started_s = time.perf_counter()
        ids = [content.task.content_id for content in contents]

        def is_wanted(one: int, other: int) -> bool:
            return other < one or other in compared_before  # else the pair is found from the other side

        candidates = table.candidates(ids, is_wanted)
        with self._database.reading() as connection:
            involved = sorted({content_id for pair in candidates for content_id in pair})
            facts, sha256_of = facts_of(connection, involved)
        read = thumbnail_reader(self._settings, decoder, sha256_of, SIDE_PX)
        pairs = list(compared(candidates, read, facts))
        seconds = (time.perf_counter() - started_s) / len(contents)

        def write(connection: sa.Connection) -> None:
            forget_pairs(connection, ids, above=compared_before)
            store_pairs(connection, pairs)

        outcomes.store([Ended(content, COMPARE, seconds) for content in contents], write)


def thumbnail_reader(
    settings: Settings, decoder: PictureDecoder, sha256_of: dict[int, str], side_px: int
) -> Callable[[int], Thumbnail | None]:
    """Return what reads the thumbnail of a content as pixels; None if there is none."""

    def read(content_id: int) -> Thumbnail | None:
        path = thumbnail_path(settings.thumbnails_dir, sha256_of[content_id])
        try:
            return decoder.decode(path.read_bytes(), max_side_px=side_px).image_HWC
        except (OSError, PictureError):  # a person may delete thumbnails
            return None

    return read


def facts_of(
    connection: sa.Connection, content_ids: Sequence[int]
) -> tuple[dict[int, Facts], dict[int, str]]:
    """Return what reasons are made of, and the hashes that name thumbnails."""
    wanted = sa.text("content.id IN (SELECT value FROM json_each(:ids))")
    columns = content_table.c
    statement = sa.select(
        columns.id, columns.sha256, columns.format, columns.width_px, columns.height_px
    ).where(wanted)
    rows = connection.execute(statement, {"ids": json.dumps(list(content_ids))}).all()
    facts = {row.id: Facts(row.format or "", row.width_px or 0, row.height_px or 0) for row in rows}
    return facts, {row.id: row.sha256 for row in rows}
