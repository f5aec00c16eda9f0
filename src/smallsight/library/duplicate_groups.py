"""Groups of pictures that are the same or similar, for people to decide about, and what they decided.

Decisions belong to pairs of contents, so that they hold when files move; a content that joins a group is a
new pair, and brings the group back.
"""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import ArgumentError, NotInLibraryError
from smallsight.library.alike.grouping import Pairs, copies, represented, similar
from smallsight.library.alike.pairs import AlikePair, Reason, read_pairs
from smallsight.library.database import Database
from smallsight.library.schema import content, duplicate_decision, picture
from smallsight.library.search.same_text import say_different_things
from smallsight.library.search.sqlite.duplicates import certain_texts, duplicates

__all__ = [
    "DuplicateDecision",
    "DuplicateGroup",
    "GroupKind",
    "GroupMember",
    "GroupPage",
    "forget_decision",
    "groups",
    "resolve",
]

_MOST_DECIDED = 500  # contents of one group


class GroupKind(StrEnum):
    """Copies of one picture, or pictures that look similar."""

    SAME = "same"
    SIMILAR = "similar"


class DuplicateDecision(StrEnum):
    """What a person decided about two contents of a group."""

    KEEP_BOTH = "keep_both"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One content of a group, with its files; ``modified_at_s`` is the time of the oldest file."""

    content_id: int
    sha256: str
    paths: tuple[Path, ...]
    width_px: int | None
    height_px: int | None
    size_bytes: int
    format: str | None
    modified_at_s: float


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Members, the best first, and how each two of them that were compared differ.

    A member with several paths stands for identical files. ``keeper_id`` is the content suggested to be kept:
    the best one that is not a crop and has nothing added. ``is_resolved`` says that everything is decided.
    """

    kind: GroupKind
    members: tuple[GroupMember, ...]
    pairs: tuple[AlikePair, ...]
    keeper_id: int
    is_resolved: bool

    @property
    def content_ids(self) -> tuple[int, ...]:
        """The ids of the members, for ``resolve`` and ``forget_decision``."""
        return tuple(member.content_id for member in self.members)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons of all pairs, each once, and of identical files."""
        found = [reason for pair in self.pairs for reason in pair.reasons]
        if any(len(member.paths) > 1 for member in self.members):
            found.insert(0, Reason.IDENTICAL)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Some groups, and how many there are in all."""

    groups: tuple[DuplicateGroup, ...]
    total: int


def groups(
    database: Database,
    kind: GroupKind,
    limit: int | None = None,
    offset: int = 0,
    *,
    with_resolved: bool = False,
) -> GroupPage:
    """Return the groups of a kind by their oldest content; resolved ones only if they are wanted."""
    with database.cursor() as cursor:
        pairs = _judged(cursor, read_pairs(cursor))
        found, pairs = _grouped(cursor, kind, pairs, database)
        decided = _Decisions(cursor)
        shown: list[DuplicateGroup] = []
        total = 0
        for ids in found:
            num_files = _num_files(cursor, ids)
            is_resolved = decided.cover(num_files)
            if is_resolved and not with_resolved:
                continue
            if total >= offset and (limit is None or len(shown) < limit):
                shown.append(_group(cursor, kind, ids, pairs, is_resolved=is_resolved))
            total += 1
        return GroupPage(tuple(shown), total)


def resolve(database: Database, content_ids: Sequence[int], keep: Sequence[int]) -> None:
    """Remember a decision about all members of a group, so that it is not shown again.

    ``keep`` are those that stay. Raises ArgumentError if one is not in the group, NotInLibraryError for a
    content that is not known. No file is touched.
    """
    ids = sorted(set(content_ids))
    kept = set(keep)
    if not kept <= set(ids):
        raise ArgumentError(
            f"Not in this group: {sorted(kept - set(ids))} (the group has {ids}).",
            hint="load the duplicates again.",
        )
    if len(ids) > _MOST_DECIDED:
        raise ArgumentError(
            f"Too many pictures for one decision: {len(ids)} (limit {_MOST_DECIDED}).",
            hint="decide about some of them at a time.",
        )
    with database.writing() as connection:
        known = connection.execute(sa.select(content.c.id).where(content.c.id.in_(ids))).scalars().all()
        if missing := sorted(set(ids) - set(known)):
            raise NotInLibraryError(f"There is no content with the id {missing[0]}.")
        num_files = _count_files(connection, ids)
        now_s = time.time()
        rows = [
            {
                "first_id": one,
                "second_id": other,
                "decision": DuplicateDecision.KEEP_BOTH
                if {one, other} <= kept
                else DuplicateDecision.REMOVED,
                "num_files": num_files.get(one, 0) if one == other else None,
                "decided_at_s": now_s,
            }
            for one, other in [*combinations(ids, 2), *((id_, id_) for id_ in ids)]
        ]
        statement = insert(duplicate_decision)
        replaced = {name: statement.excluded[name] for name in ("decision", "num_files", "decided_at_s")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["first_id", "second_id"], set_=replaced), rows
        )


def forget_decision(database: Database, content_ids: Sequence[int]) -> int:
    """Forget what was decided about these contents among each other; return how many decisions that was."""
    ids = list(content_ids)
    with database.writing() as connection:
        return connection.execute(
            duplicate_decision.delete().where(
                duplicate_decision.c.first_id.in_(ids), duplicate_decision.c.second_id.in_(ids)
            )
        ).rowcount


class _Decisions:
    """All decisions of the library."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        rows = cursor.execute("SELECT first_id, second_id, num_files FROM duplicate_decision").fetchall()
        self._num_files = {(first, second): num_files for first, second, num_files in rows}

    def cover(self, num_files: dict[int, int]) -> bool:
        """Return whether each two contents are decided, and no more files of one are there than were."""
        if not all(key in self._num_files for key in combinations(sorted(num_files), 2)):
            return False
        return all(
            num < 2 or (self._num_files.get((content_id, content_id)) or 0) >= num
            for content_id, num in num_files.items()
        )


def _judged(cursor: sqlite3.Cursor, pairs: Sequence[AlikePair]) -> Pairs:
    """Return the pairs by their ids; those whose texts say different things are only similar."""
    compared = {id_ for pair in pairs if pair.is_upright for id_ in (pair.first_id, pair.second_id)}
    texts = certain_texts(cursor, sorted(compared))
    judged: dict[tuple[int, int], AlikePair] = {}
    for pair in pairs:
        one, other = texts.get(pair.first_id, ""), texts.get(pair.second_id, "")
        if pair.is_same and pair.is_upright and _say_different(one, other):
            pair = replace(pair, is_same=False, reasons=(Reason.OTHER_WORDS,))  # noqa: PLW2901
        judged[pair.first_id, pair.second_id] = pair
    return judged


@lru_cache(maxsize=8192)
def _say_different(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one != other and say_different_things(one, other)


def _grouped(
    cursor: sqlite3.Cursor,
    kind: GroupKind,
    pairs: Pairs,
    database: Database,
) -> tuple[list[tuple[int, ...]], Pairs]:
    """Return the groups of a kind, and the pairs between their members."""
    same = {key: pair for key, pair in pairs.items() if pair.is_same}
    texts = certain_texts(cursor, sorted({id_ for key in same for id_ in key}))
    apart = {key for key, pair in pairs.items() if Reason.OTHER_WORDS in pair.reasons}
    copy_groups = copies(
        same, apart, lambda one, other: _say_different(texts.get(one, ""), texts.get(other, ""))
    )
    if kind is GroupKind.SIMILAR:
        unlike = represented([pair for pair in pairs.values() if not pair.is_same], copy_groups)
        return similar(unlike), unlike
    grouped = {member for group in copy_groups for member in group}
    identical = [(one.content_id,) for one in duplicates(database) if one.content_id not in grouped]
    return sorted([*copy_groups, *identical]), pairs


def _group(
    cursor: sqlite3.Cursor,
    kind: GroupKind,
    ids: Sequence[int],
    pairs: Pairs,
    *,
    is_resolved: bool,
) -> DuplicateGroup:
    members = sorted(_members(cursor, ids), key=_worst_last)
    among = tuple(pairs[key] for key in combinations(sorted(ids), 2) if key in pairs)
    changed = {pair.changed_id for pair in among}
    whole = [member for member in members if member.content_id not in changed]
    return DuplicateGroup(kind, tuple(members), among, (whole or members)[0].content_id, is_resolved)


def _worst_last(member: GroupMember) -> tuple[int, int, float, int]:
    pixels = (member.width_px or 0) * (member.height_px or 0)
    return -pixels, -member.size_bytes, member.modified_at_s, member.content_id


def _members(cursor: sqlite3.Cursor, ids: Sequence[int]) -> list[GroupMember]:
    members = []
    for content_id in ids:
        row = cursor.execute(
            "SELECT sha256, width_px, height_px, size_bytes, format FROM content WHERE id = ?", (content_id,)
        ).fetchone()
        files = cursor.execute(
            """SELECT folder.path, picture.path, picture.mtime_ns FROM picture
               JOIN folder ON folder.id = picture.folder_id
               WHERE content_id = ? AND vanished_at_s IS NULL ORDER BY picture.id""",
            (content_id,),
        ).fetchall()
        paths = tuple(Path(root) / below for root, below, _ in files)
        oldest_s = min((mtime_ns for _, _, mtime_ns in files), default=0) / 1e9
        members.append(GroupMember(content_id, row[0], paths, row[1], row[2], row[3], row[4], oldest_s))
    return members


def _num_files(cursor: sqlite3.Cursor, ids: Iterable[int]) -> dict[int, int]:
    counts: dict[int, int] = defaultdict(int)
    for content_id in ids:
        row = cursor.execute(
            "SELECT count(*) FROM picture WHERE content_id = ? AND vanished_at_s IS NULL", (content_id,)
        ).fetchone()
        counts[content_id] = row[0]
    return counts


def _count_files(connection: sa.Connection, ids: Sequence[int]) -> dict[int, int]:
    rows = connection.execute(
        sa.select(picture.c.content_id, sa.func.count())
        .where(picture.c.content_id.in_(ids), picture.c.vanished_at_s.is_(None))
        .group_by(picture.c.content_id)
    )
    return {row[0]: row[1] for row in rows}
