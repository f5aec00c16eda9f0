"""What a person can change about a content, as plain data: read, compared, and put back.

A state maps keys to rows: ``description`` and ``text``, each with the outcome of the stage that writes it,
and one key for each tag (``tag cats``), refused tag (``refused cats``) and predecessor (``before 12``). Rows
hold all columns, so that columns added later are kept too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.library.schema import content, content_tag, outcome, refused_tag, succession, tag
from smallsight.library.texts import detach_tags, tag_id_of

DESCRIPTION, TEXT = "description", "text"
TAG, REFUSED, BEFORE = "tag", "refused", "before"

Row: TypeAlias = dict[str, Any]
WordRows: TypeAlias = dict[str, Row]
Changes: TypeAlias = dict[str, tuple[Row | None, Row | None]]
"""For each key that differs: the row before and after; None where there is none."""

_IDS_PER_STATEMENT = 500
_PREFIXES = {DESCRIPTION: "description", TEXT: "ocr_"}
_COLUMNS = {
    key: [column.name for column in content.c if column.name.startswith(prefix)]
    for key, prefix in _PREFIXES.items()
}
_STAGES = {DESCRIPTION: "describe", TEXT: "read"}
_KEYS_OF_STAGES = {stage: key for key, stage in _STAGES.items()}
_NOT_COMPARED = frozenset({"outcome", "name"})  # unless the change changed it
_COLOUR = "colour"  # kept for a tag that has to be made again; never compared, because colours are no edits


def read_states(connection: sa.Connection, content_ids: Sequence[int]) -> dict[int, WordRows]:
    """Return the states of these contents; contents that do not exist are left out."""
    states: dict[int, WordRows] = {}
    for start in range(0, len(content_ids), _IDS_PER_STATEMENT):
        states |= _read_states(connection, content_ids[start : start + _IDS_PER_STATEMENT])
    return states


def _read_states(connection: sa.Connection, ids: Sequence[int]) -> dict[int, WordRows]:
    states: dict[int, WordRows] = {}
    for row in connection.execute(sa.select(content).where(content.c.id.in_(ids))).mappings():
        states[row["id"]] = {
            key: {name: row[name] for name in names} | {"outcome": None} for key, names in _COLUMNS.items()
        }
    found = sa.select(outcome).where(outcome.c.content_id.in_(ids), outcome.c.stage.in_(_KEYS_OF_STAGES))
    for row in connection.execute(found).mappings():
        states[row["content_id"]][_KEYS_OF_STAGES[row["stage"]]]["outcome"] = _without(row, "content_id")
    tags = (
        sa.select(content_tag, tag.c.name, tag.c.folded, tag.c.colour)
        .join(tag)
        .where(content_tag.c.content_id.in_(ids))
    )
    for row in connection.execute(tags).mappings():
        kept = _without(row, "content_id", "tag_id", "folded")
        states[row["content_id"]][f"{TAG} {row['folded']}"] = kept
    refused = sa.select(refused_tag).where(refused_tag.c.content_id.in_(ids))
    for row in connection.execute(refused).mappings():
        states[row["content_id"]][f"{REFUSED} {row['folded']}"] = _without(row, "content_id", "folded")
    before = sa.select(succession).where(succession.c.content_id.in_(ids))
    for row in connection.execute(before).mappings():
        states[row["content_id"]][f"{BEFORE} {row['before_id']}"] = _without(row, "content_id", "before_id")
    return states


def text_columns(key: str) -> dict[str, None]:
    """Return the columns of the description or the text, each with None."""
    return dict.fromkeys(_COLUMNS[key])


def differences(before: WordRows, after: WordRows) -> Changes:
    """Return what differs between two states of a content."""
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if not _is_same(before.get(key), after.get(key), ())
    }


def changed_keys(changes: Changes) -> set[str]:
    """Return the keys that really changed, not only in the spelling of a tag or in an outcome."""
    return {key for key, (before, after) in changes.items() if not _is_same(before, after, _NOT_COMPARED)}


def put_back(
    connection: sa.Connection,
    content_id: int,
    current: WordRows,
    changes: Changes,
    changed_later: Collection[str],
) -> tuple[list[str], list[str]]:
    """Restore the first row of each change; return the keys restored, and those kept as they are.

    A key is kept if a person has changed it since: if ``changed_later`` has it, or if its current row is a
    person's and not the second row of the change.
    """
    restored, kept = [], []
    for key, (wanted, left) in changes.items():
        ignored = _NOT_COMPARED - _differing(wanted, left)
        now = current.get(key)
        if _is_same(now, wanted, ignored):
            continue
        if key in changed_later or (not _is_same(now, left, ignored) and _is_persons(now)):
            kept.append(key)
            continue
        skipped = frozenset() if "outcome" not in ignored else frozenset({"outcome"})
        _write(connection, content_id, key, wanted, skipped, renames="name" not in ignored)
        restored.append(key)
    return restored, kept


def _differing(a: Row | None, b: Row | None) -> frozenset[str]:
    if a is None or b is None:
        return frozenset()
    return frozenset(name for name in a.keys() | b.keys() if name != _COLOUR and a.get(name) != b.get(name))


def _is_same(a: Row | None, b: Row | None, ignored: Collection[str]) -> bool:
    if a is None or b is None:
        return a is b
    return _differing(a, b) <= frozenset(ignored)


def _is_persons(row: Row | None) -> bool:
    return row is not None and any(
        row.get(f"{prefix}source") == "human" for prefix in ("", "description_", "ocr_")
    )


def _write(
    connection: sa.Connection,
    content_id: int,
    key: str,
    row: Row | None,
    skipped: Collection[str],
    *,
    renames: bool,
) -> None:
    kind, _, name = key.partition(" ")
    if kind in _PREFIXES and row is not None:
        _write_text(connection, content_id, kind, row, skipped)
    elif kind == TAG:
        _write_tag(connection, content_id, name, row, renames=renames)
    elif kind == REFUSED:
        _write_row(connection, refused_tag, {"content_id": content_id, "folded": name}, row)
    elif kind == BEFORE:
        _write_row(connection, succession, {"content_id": content_id, "before_id": int(name)}, row)


def _write_text(
    connection: sa.Connection, content_id: int, key: str, row: Row, skipped: Collection[str]
) -> None:
    values = {name: row.get(name) for name in _COLUMNS[key]}
    connection.execute(content.update().where(content.c.id == content_id).values(**values))
    if "outcome" not in skipped:
        _write_row(connection, outcome, {"content_id": content_id, "stage": _STAGES[key]}, row["outcome"])


def _write_tag(
    connection: sa.Connection, content_id: int, folded: str, row: Row | None, *, renames: bool
) -> None:
    found = connection.execute(sa.select(tag.c.id).where(tag.c.folded == folded)).scalars().all()
    if row is None:
        detach_tags(connection, [content_id], found)
        return
    tag_id = tag_id_of(connection, row["name"], folded)
    if not found:
        connection.execute(tag.update().where(tag.c.id == tag_id).values(colour=row.get(_COLOUR)))
    if renames:
        connection.execute(tag.update().where(tag.c.id == tag_id).values(name=row["name"]))
    _write_row(connection, content_tag, {"content_id": content_id, "tag_id": tag_id}, row)


def _write_row(connection: sa.Connection, table: sa.Table, keys: Row, row: Row | None) -> None:
    """Replace the row with these keys, or delete it; columns that this version does not have are left out."""
    connection.execute(table.delete().where(*(table.c[name] == value for name, value in keys.items())))
    if row is not None:
        known = {name: value for name, value in row.items() if name in table.c}
        connection.execute(insert(table).values(**{**known, **keys}))


def _without(row: Mapping[Any, Any], *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}
