"""The stage ``look``: size, format, perceptual hashes and thumbnail of a picture."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

import numpy as np
import sqlalchemy as sa

from smallsight.library.alike.pairs import store_views
from smallsight.library.alike.views import picture_views
from smallsight.library.kinship import inherit, pixels_sha256, turned
from smallsight.library.ledger import LOOK, Stage
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.schema import content as content_table
from smallsight.library.search.sqlite.facets import refresh_facets
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE
from smallsight.library.thumbnails import store_thumbnail, thumbnail_path
from smallsight.media.picture import DecodedPicture
from smallsight.settings import Settings

LOOK_KEY = "look-3"
_OF_CONTENT = content_table.update().where(content_table.c.id == sa.bindparam("of_content"))


class LookWork:
    """Stores the properties found by decoding, and a thumbnail."""

    activity = "Looking at pictures"
    needs = Needs.FACTS
    holds_back = False
    contents_per_lease = CONTENTS_PER_LEASE
    stages = (Stage(LOOK, LOOK_KEY),)

    def __init__(self, settings: Settings) -> None:
        self._thumbnails_dir = settings.thumbnails_dir

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Store the properties of each decoded picture."""
        for content in contents:
            if content.is_due(LOOK):
                self._store(content, outcomes)
            yield content

    def _store(self, content: OpenedContent, outcomes: Outcomes) -> None:
        picture = content.picture
        if picture is not None and picture.thumbnail_webp is not None:
            path = thumbnail_path(self._thumbnails_dir, content.task.sha256)
            store_thumbnail(path, picture.thumbnail_webp)

        def write(connection: sa.Connection) -> None:
            if picture is not None:
                content_id = content.task.content_id
                _store_facts(connection, content_id, picture)
                if picture.hash_grey_HW is not None:
                    store_views(connection, content_id, picture_views(picture.hash_grey_HW))
                content.inherited = inherit(connection, content_id, partial(_turned, picture))
                refresh_facets(connection, [content_id])

        outcomes.store([Ended(content, LOOK, content.take_opening_s(), content.error)], write)


def _store_facts(connection: sa.Connection, content_id: int, decoded: DecodedPicture) -> None:
    facts = {
        "of_content": content_id,
        "format": decoded.format,
        "width_px": decoded.width_px,
        "height_px": decoded.height_px,
        "num_frames": decoded.num_frames,
        "duration_s": decoded.duration_s,
        "still_s": decoded.still_s,
        "colours": decoded.colours,
        "phash": _as_signed(decoded.phash),
        "dhash": _as_signed(decoded.dhash),
        "pixels_sha256": pixels_sha256(decoded),
    }
    connection.execute(_OF_CONTENT, facts)


def _turned(decoded: DecodedPicture) -> tuple[int, ...]:
    return () if decoded.hash_grey_HW is None else turned(decoded.hash_grey_HW)


def _as_signed(bits: int | None) -> int | None:
    """Return 64 bits as the signed integer that SQLite stores."""
    return None if bits is None else int(np.uint64(bits).astype(np.int64))
