"""Recognises the same picture in a file with other bytes, and passes on what is known about it.

Another program that writes a rating, an export with other metadata, a rotation or a new crop under the same
name make another content. A person's words follow the picture: to a content with the same pixels wherever it
is, and to one that took the place of a file and looks like it. A photo that reuses the name of another does
not look like it and inherits nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.library.ledger import StageName
from smallsight.library.schema import content, content_tag, outcome, refused_tag, succession, tag, text_line
from smallsight.library.taken import copy_taken
from smallsight.library.texts import add_tags, renew_searchable, store_machine_tags
from smallsight.library.version_keeping import keep_current
from smallsight.media.perceptual_hash import hamming_distance, phash
from smallsight.media.picture import DecodedPicture

# Of the 128 bits of both hashes. Of 901 pairs of different example pictures, the nearest are 37 apart and the
# mean is 61; a crop by 6 % of each side is about 18 apart, one by 10 % about 29.
_MOST_BITS_APART = 36
_MOST_BITS_APART_TURNED = 8  # of the 64 bits of the first hash, which is compared in seven more ways
_MOST_TWINS = 16
# Text, because they are executed for each picture, and composing one takes longer than executing it.
_TWINS = """SELECT id FROM content
    WHERE pixels_sha256 IN (SELECT pixels_sha256 FROM content WHERE id IN (SELECT value FROM json_each(?)))
    AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?"""
_REPLACED = "SELECT before_id FROM succession WHERE content_id = ? AND is_same IS NULL"
_SAME = """SELECT content_id, before_id FROM succession
    WHERE is_same AND (content_id = ? OR before_id = ?)"""
_COPIED_STAGES = (StageName("read"), StageName("describe"), StageName("tag"))


def pixels_sha256(picture: DecodedPicture) -> str | None:
    """Return a hash of a still picture's pixels at the size that OCR gets; None if those were not decoded."""
    if picture.image_HWC is None or picture.num_frames != 1 or picture.duration_s is not None:
        return None
    size = f"{picture.width_px}x{picture.height_px} {picture.image_HWC.shape}"
    digest = hashlib.sha256(size.encode())
    digest.update(np.ascontiguousarray(picture.image_HWC).reshape(-1).data)
    return digest.hexdigest()


def note_successor(connection: sa.Connection, content_id: int, before_id: int) -> None:
    """Record that a file with the content ``before_id`` now has another; they are compared once decoded."""
    connection.execute(
        insert(succession).values(content_id=content_id, before_id=before_id).on_conflict_do_nothing()
    )


def is_decoded(connection: sa.Connection, content_id: int) -> bool:
    """Return whether the content has been looked at, so that it can be compared."""
    known = connection.execute(sa.select(content.c.phash).where(content.c.id == content_id)).scalar()
    return known is not None


def twins_of(connection: sa.Connection, *content_ids: int) -> list[int]:
    """Return the other contents with the same pixels as one of these; at most 16 for each on average."""
    ids = json.dumps(content_ids)
    return list(connection.exec_driver_sql(_TWINS, (ids, ids, _MOST_TWINS * len(content_ids))).scalars())


def inherit(
    connection: sa.Connection, content_id: int, turned_phashes: Callable[[], Sequence[int]] = tuple
) -> dict[StageName, str]:
    """Give a decoded content the words of the same picture, and results of machines on the same pixels.

    ``turned_phashes`` returns the content's first hashes when turned and mirrored; few contents need them.
    Returns the keys of the stages whose results were copied.
    """
    twins = twins_of(connection, content_id)
    before_ids = list(connection.exec_driver_sql(_REPLACED, (content_id,)).scalars())
    alike: list[int] = []
    for before_id in before_ids:
        is_same = before_id in twins or _alike(connection, content_id, before_id, turned_phashes())
        connection.execute(
            succession.update()
            .where(succession.c.content_id == content_id, succession.c.before_id == before_id)
            .values(is_same=is_same)
        )
        alike += [before_id] if is_same and before_id not in twins else []
    copied = _copy_results(connection, twins[0], content_id) if twins else {}
    for source_id in (*alike, *twins):
        copy_words(connection, source_id, content_id)
    if twins or alike:
        renew_searchable(connection, [content_id])
    return copied


def share_taken(connection: sa.Connection, content_id: int) -> None:
    """Give the date of a content to other files of the same picture that have none, or take it from them."""
    same = connection.exec_driver_sql(_SAME, (content_id, content_id))
    followed = {one for row in same for one in row} - {content_id}
    for other_id in (*followed, *twins_of(connection, content_id)):
        copy_taken(connection, content_id, other_id)
        copy_taken(connection, other_id, content_id)


def turned(hash_grey_HW: np.ndarray) -> tuple[int, ...]:
    """Return the first hash of a picture, uint8 [height, width], turned and mirrored in seven ways."""
    ways = [np.rot90(side, turns) for side in (hash_grey_HW, hash_grey_HW[:, ::-1]) for turns in range(4)]
    return tuple(phash(way) for way in ways[1:])


def _alike(connection: sa.Connection, content_id: int, before_id: int, turned_phashes: Sequence[int]) -> bool:
    rows = connection.execute(
        sa.select(content.c.id, content.c.phash, content.c.dhash).where(
            content.c.id.in_((content_id, before_id))
        )
    )
    hashes = {row.id: (row.phash, row.dhash) for row in rows}
    new, old = hashes[content_id], hashes[before_id]
    if None in new or None in old:
        return False
    if sum(_bits_apart(a, b) for a, b in zip(new, old, strict=True)) <= _MOST_BITS_APART:
        return True
    return any(_bits_apart(one, old[0]) <= _MOST_BITS_APART_TURNED for one in turned_phashes)


def _bits_apart(a: int, b: int) -> int:
    mask = 2**64 - 1  # stored signed
    return int(hamming_distance(a & mask, np.array([b & mask], np.uint64))[0])


def copy_words(connection: sa.Connection, source_id: int, content_id: int) -> None:
    """Copy the words that a person wrote in Smallsight; those that the content has of its own stay.

    Words of files are not copied, because the other file has its own; but a date that it lost is.
    """
    rows = connection.execute(sa.select(content).where(content.c.id.in_((source_id, content_id))))
    by_id = {row.id: row for row in rows}
    source, target = by_id[source_id], by_id[content_id]
    values: dict[str, str | None] = {}
    if _is_written(source) and not _is_written(target):
        values |= {
            "description": source.description,
            "description_source": "human",
            "description_model": None,
            "description_origin": None,
        }
    if source.description_refused is not None and target.description_refused is None:
        values["description_refused"] = source.description_refused
    if source.ocr_source == "human" != target.ocr_source:
        values |= {"ocr_text": source.ocr_text, "ocr_source": "human"}
    if values:
        connection.execute(content.update().where(content.c.id == content_id).values(**values))
        keep_current(connection, [content_id])
    refused = sa.select(sa.literal(content_id), refused_tag.c.folded).where(
        refused_tag.c.content_id == source_id
    )
    connection.execute(
        insert(refused_tag).from_select(["content_id", "folded"], refused).on_conflict_do_nothing()
    )
    add_tags(connection, content_id, _tags(connection, source_id, "human"))
    copy_taken(connection, source_id, content_id)


def _is_written(row: sa.Row[Any]) -> bool:
    """Return whether a person wrote the description in Smallsight."""
    return bool(row.description_source == "human" and row.description_origin is None)


def _copy_results(connection: sa.Connection, source_id: int, content_id: int) -> dict[StageName, str]:
    """Copy what machines found out about the same pixels, unless the content has results of its own."""
    has_own = sa.select(outcome.c.stage).where(
        outcome.c.content_id == content_id, outcome.c.stage.in_(_COPIED_STAGES)
    )
    if connection.execute(has_own).first() is not None:
        return {}
    found = connection.execute(
        sa.select(outcome).where(
            outcome.c.content_id == source_id,
            outcome.c.stage.in_(_COPIED_STAGES),
            outcome.c.status == "done",
        )
    ).mappings()
    outcomes = [{**row, "content_id": content_id} for row in found]
    if not outcomes:
        return {}
    connection.execute(outcome.insert(), outcomes)
    names = [column.name for column in text_line.c if column.name != "content_id"]
    lines = sa.select(sa.literal(content_id), *(text_line.c[name] for name in names)).where(
        text_line.c.content_id == source_id
    )
    connection.execute(insert(text_line).from_select(["content_id", *names], lines).on_conflict_do_nothing())
    source = connection.execute(sa.select(content).where(content.c.id == source_id)).one()
    names = ["ocr_text", "ocr_source"]
    if source.description_origin is None:
        names += ["description", "description_source", "description_model"]
    texts = {name: getattr(source, name) for name in names}
    connection.execute(content.update().where(content.c.id == content_id).values(**texts))
    keep_current(connection, [content_id])
    store_machine_tags(connection, content_id, _tags(connection, source_id, "machine"))
    return {StageName(row["stage"]): row["key"] for row in outcomes}


def _tags(connection: sa.Connection, content_id: int, source: str) -> list[str]:
    statement = (
        sa.select(tag.c.name)
        .join(content_tag)
        .where(
            content_tag.c.content_id == content_id,
            content_tag.c.source == source,
            content_tag.c.origin.is_(None),
        )
    )
    return list(connection.execute(statement).scalars())
