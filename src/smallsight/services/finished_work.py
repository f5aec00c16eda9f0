"""Remembers that all work on a library is done, so that a server finds that out without loading models."""

from __future__ import annotations

import contextlib
import hashlib
import json

import sqlalchemy as sa

from smallsight.catalog.text_model import find_text_model
from smallsight.library.database import Database
from smallsight.library.describing import DESCRIBING_VERSION
from smallsight.library.schema import content, outcome, picture
from smallsight.reading.text_reader import is_reading_available
from smallsight.settings import Settings
from smallsight.version import __version__


class FinishedWork:
    """A note in the data folder; it holds for the settings under which the work was done."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.home / "index-finished"
        done_with = [
            __version__,
            DESCRIBING_VERSION,
            settings.index.model_dump_json(),
            settings.describe.model_dump_json(),
            settings.tags.model_dump_json(),
            settings.embedding.model_dump_json(),
            str(find_text_model(settings)),
            is_reading_available(),
        ]
        self._mark = hashlib.sha256(json.dumps(done_with).encode()).hexdigest()

    def holds(self, database: Database) -> bool:
        """Return whether nothing is left to do, except on what a scan would find."""
        try:
            if self._path.read_text(encoding="ascii") != self._mark:
                return False
        except (OSError, ValueError):
            return False
        untouched = sa.select(content.c.id).where(
            sa.exists().where(picture.c.content_id == content.c.id, picture.c.vanished_at_s.is_(None)),
            ~sa.exists().where(outcome.c.content_id == content.c.id),
        )
        with database.reading() as connection:
            return connection.execute(untouched.limit(1)).first() is None

    def note(self) -> None:
        """Note that everything is done."""
        with contextlib.suppress(OSError):  # then the next start looks again
            self._path.write_text(self._mark, encoding="ascii")

    def forget(self) -> None:
        """Note that there may be something to do."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
