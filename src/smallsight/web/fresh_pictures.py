"""Tells an open gallery that there are other pictures than those it shows, or more known about them."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from smallsight.errors import LibraryMissingError
from smallsight.library.database import Database
from smallsight.library.schema import picture
from smallsight.web.live_updates import Fragment, Renderer, Topic
from smallsight.web.parts import WebParts


def library_version(parts: WebParts) -> str:
    """Return a text that is another one when pictures have come or gone."""
    try:
        application = parts.library.reading()
    except LibraryMissingError:
        return ""
    return application.lists.get("version", lambda: _version(application.database), may_lag=False)


def known_version(parts: WebParts) -> str:
    """Return a text that is another one after every change, also of what is known about pictures."""
    try:
        return str(parts.library.reading().database.version())
    except LibraryMissingError:
        return ""


def _version(database: Database) -> str:
    present = picture.c.vanished_at_s.is_(None)
    with database.reading() as connection:
        counted = sa.select(sa.func.count(), sa.func.max(picture.c.id), sa.func.max(picture.c.content_id))
        row = connection.execute(counted.where(present, picture.c.content_id.is_not(None))).one()
    return "-".join(str(value or 0) for value in row)


def renderers(parts: WebParts) -> Mapping[Topic, Renderer]:
    """Return what keeps open galleries up to date."""

    def fresh() -> list[Fragment]:
        values = {"library_version": library_version(parts), "known_version": known_version(parts)}
        return [Fragment("#fresh", parts.pages.text("fresh.html", values))]

    return {Topic.LIBRARY: fresh}
