"""Keeps every description that a content has had, in the transaction that stores it.

Reading and restoring versions is in ``description_versions``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.library.schema import content, description_version

MAX_VERSIONS = 50
_IDS_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class DescriptionMaker:
    """The model that wrote a description, in which precision and for which prompt, where known."""

    model: str
    precision: str | None = None
    prompt: str | None = None


def source_in_force() -> sa.ColumnElement[str]:
    """Return who wrote the description of the content in the enclosing query: machine, human or file."""
    written = sa.func.coalesce(content.c.description_source, "machine")
    return sa.case((content.c.description_origin.is_not(None), "file"), else_=written)


def is_in_force() -> sa.ColumnElement[bool]:
    """Return the condition that a version says what the description of its content says now."""
    return sa.and_(
        description_version.c.content_id == content.c.id,
        description_version.c.text == content.c.description,
        description_version.c.source == source_in_force(),
        description_version.c.model.is_not_distinct_from(content.c.description_model),
        description_version.c.origin.is_not_distinct_from(content.c.description_origin),
    )


def keep_current(connection: sa.Connection, content_ids: Sequence[int]) -> None:
    """Keep the descriptions that these contents have now, unless they are kept already."""
    for start in range(0, len(content_ids), _IDS_PER_STATEMENT):
        some = list(content_ids[start : start + _IDS_PER_STATEMENT])
        added = connection.execute(_ADD_CURRENT, {"ids": some, "now_s": time.time()})
        if added.rowcount:
            connection.execute(_DROP_OLDEST, {"ids": some})


def keep_answer(connection: sa.Connection, content_id: int, text: str, maker: DescriptionMaker) -> bool:
    """Keep a model's description, whether it is in force or not; return False if it is kept already."""
    values = {
        "of": content_id,
        "text": text,
        "model": maker.model,
        "precision": maker.precision,
        "prompt": maker.prompt,
    }
    added = connection.execute(_ADD_ANSWER, {**values, "now_s": time.time()})
    if added.rowcount:
        connection.execute(_DROP_OLDEST, {"ids": [content_id]})
    return bool(added.rowcount)


# The statements are made once, because they are needed for every description.


def _adding_current() -> sa.Insert:
    """Return the insertion of what the contents ``ids`` say now."""
    current = sa.select(
        content.c.id,
        content.c.description,
        source_in_force(),
        content.c.description_model,
        content.c.description_origin,
        sa.bindparam("now_s", type_=sa.Float),
    ).where(
        content.c.id.in_(sa.bindparam("ids", expanding=True)),
        content.c.description.is_not(None),
        ~sa.exists(sa.select(description_version.c.id).where(is_in_force()).correlate(content)),
    )
    names = ["content_id", "text", "source", "model", "origin", "made_at_s"]
    return insert(description_version).from_select(names, current)


def _adding_answer() -> sa.Insert:
    """Return the insertion of one answer of a model, unless it is there."""
    columns = description_version.c
    values: dict[str, sa.ColumnElement[Any]] = {
        "content_id": sa.bindparam("of", type_=sa.Integer),
        "text": sa.bindparam("text", type_=sa.Text),
        "source": sa.literal("machine"),
        "model": sa.bindparam("model", type_=sa.Text),
        "precision": sa.bindparam("precision", type_=sa.Text),
        "prompt": sa.bindparam("prompt", type_=sa.Text),
    }
    same = (columns[name].is_not_distinct_from(value) for name, value in values.items())
    answer = sa.select(*values.values(), sa.bindparam("now_s", type_=sa.Float)).where(
        ~sa.exists(sa.select(columns.id).where(*same))
    )
    return insert(description_version).from_select([*values, "made_at_s"], answer)


def _dropping_oldest() -> sa.Delete:
    """Return the deletion of what is beyond the newest versions of ``ids``, except what is in force."""
    newer = description_version.alias()
    first_too_old = (
        sa.select(newer.c.id)
        .where(newer.c.content_id == description_version.c.content_id)
        .order_by(newer.c.id.desc())
        .limit(1)
        .offset(MAX_VERSIONS)
        .correlate(description_version)
        .scalar_subquery()
    )
    in_force = sa.exists(sa.select(content.c.id).where(is_in_force()).correlate(description_version))
    return description_version.delete().where(
        description_version.c.content_id.in_(sa.bindparam("ids", expanding=True)),
        description_version.c.id <= first_too_old,
        ~in_force,
    )


_ADD_CURRENT, _ADD_ANSWER, _DROP_OLDEST = _adding_current(), _adding_answer(), _dropping_oldest()
