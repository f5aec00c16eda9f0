"""The texts of a content: how they are stored, edited, and split into chunks for embedding.

A person's text takes precedence: a machine's text never replaces it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.library.misreadings import is_too_short_to_mean, without_misreadings
from smallsight.library.schema import content, content_tag, refused_tag, tag
from smallsight.library.search.sqlite.facets import refresh_index
from smallsight.library.search.tokens import normalise
from smallsight.library.version_keeping import DescriptionMaker, keep_answer
from smallsight.reading.text_line import TextLine

_WORDS_PER_CHUNK = 40
_WORDS_SHARED = 10
_MAX_CHUNKS = 24
_NAME_WORD = re.compile(r"[^\W\d_]{3,}")
_WORDS_OF_CAMERAS_AND_PROGRAMS = """
    img image images photo photos picture pictures pic pics screenshot screen shot dsc dscn dcim camera
    download downloads untitled copy final new whatsapp signal telegram meme memes scan video file jpg png
    gif webp received saved unnamed export edited kopie bild foto capture
"""
_NAMES_WITHOUT_MEANING = frozenset(_WORDS_OF_CAMERAS_AND_PROGRAMS.split())
# Text, because these are executed for each picture, and composing one takes longer than executing it.
_DELETE_LINES = "DELETE FROM text_line WHERE content_id = ?"
_INSERT_LINE = "INSERT INTO text_line (content_id, position, text, confidence, box) VALUES (?, ?, ?, ?, ?)"
_TEXT_BEFORE = "SELECT ocr_text, ocr_source FROM content WHERE id = ?"
_SET_TEXT = "UPDATE content SET ocr_text = ?, ocr_source = 'machine' WHERE id = ?"
_NEXT_VERSION = """UPDATE content SET text_version = text_version + 1
    WHERE id IN (SELECT value FROM json_each(?))"""


@dataclass(frozen=True, slots=True)
class EmbeddableTexts:
    """The texts of one content that are embedded."""

    ocr_text: str | None
    description: str | None
    tags: Sequence[str]
    names: Sequence[str]  # paths of its files


def store_lines(
    connection: sa.Connection, content_id: int, lines: Sequence[TextLine], max_chars: int
) -> bool:
    """Replace the lines read by a machine; the text itself stays if a person has corrected it.

    All lines are kept, but the text is made without misread ones of one or two characters.
    Returns whether the text changed.
    """
    connection.exec_driver_sql(_DELETE_LINES, (content_id,))
    rows = [
        (
            content_id,
            position,
            line.text,
            round(line.confidence, 4),
            json.dumps([[round(x, 4), round(y, 4)] for x, y in line.box]),
        )
        for position, line in enumerate(lines)
    ]
    if rows:
        connection.exec_driver_sql(_INSERT_LINE, rows)
    before, source = connection.exec_driver_sql(_TEXT_BEFORE, (content_id,)).one()
    if source == "human":
        return False
    text = "\n".join(line.text for line in without_misreadings(lines))[:max_chars]
    connection.exec_driver_sql(_SET_TEXT, (text, content_id))
    return text != (before or "")


def store_description(
    connection: sa.Connection, content_id: int, text: str, maker: DescriptionMaker, max_chars: int
) -> bool:
    """Store a model's description unless a person has written one; return whether it changed.

    It is kept as a version in any case, if it is not empty.
    """
    description = text.strip()[:max_chars] or None
    before = connection.execute(
        sa.select(content.c.description, content.c.description_source).where(content.c.id == content_id)
    ).one()
    if description is not None:
        keep_answer(connection, content_id, description, maker)
    if before.description_source == "human":
        return False
    connection.execute(
        content.update()
        .where(content.c.id == content_id)
        .values(description=description, description_source="machine", description_model=maker.model)
    )
    return bool(before.description != description)


def renew_searchable(connection: sa.Connection, content_ids: Sequence[int]) -> None:
    """Update what is derived from the texts of these contents: the index now, vectors when due."""
    renew_text_version(connection, content_ids)
    refresh_index(connection, content_ids)


def renew_text_version(connection: sa.Connection, content_ids: Sequence[int]) -> None:
    """Increase the text version of these contents, so that what is derived from it is due again."""
    connection.exec_driver_sql(_NEXT_VERSION, (json.dumps(list(content_ids)),))


def add_tags(connection: sa.Connection, content_id: int, names: Iterable[str]) -> None:
    """Add a person's tags to one content, as ``add_tags_to`` does."""
    add_tags_to(connection, [content_id], names)


def add_tags_to(connection: sa.Connection, content_ids: Sequence[int], names: Iterable[str]) -> None:
    """Add a person's tags to contents; tags that differ only in case or accents are the same.

    A tag from a machine or a file becomes the person's.
    """
    for name in names:
        folded = normalise(name).strip()
        if not folded or not content_ids:
            continue
        tag_id = tag_id_of(connection, name, folded)
        connection.execute(
            insert(content_tag).on_conflict_do_update(
                index_elements=["content_id", "tag_id"], set_={"source": "human", "origin": None}
            ),
            [{"content_id": one, "tag_id": tag_id, "source": "human"} for one in content_ids],
        )
        connection.execute(
            refused_tag.delete().where(
                refused_tag.c.content_id.in_(content_ids), refused_tag.c.folded == folded
            )
        )


def remove_tags_from(connection: sa.Connection, content_ids: Sequence[int], names: Iterable[str]) -> None:
    """Remove tags from contents for a person, and record that no machine may add them again."""
    folded = [normalise(name).strip() for name in names]
    if not folded:
        return
    current = connection.execute(
        sa.select(content_tag.c.content_id, tag.c.id, tag.c.folded)
        .join(tag)
        .where(content_tag.c.content_id.in_(content_ids), tag.c.folded.in_(folded))
    ).all()
    if current:
        connection.execute(
            insert(refused_tag).on_conflict_do_nothing(),
            [{"content_id": row.content_id, "folded": row.folded} for row in current],
        )
        detach_tags(connection, content_ids, {row.id for row in current})


def store_machine_tags(connection: sa.Connection, content_id: int, names: Iterable[str]) -> bool:
    """Replace the tags that machines added to a content; return whether its tags changed.

    A person's tags stay, and a tag that a person removed is not added again.
    """
    refused = set(
        connection.execute(
            sa.select(refused_tag.c.folded).where(refused_tag.c.content_id == content_id)
        ).scalars()
    )
    current = {
        row.folded: row
        for row in connection.execute(
            sa.select(tag.c.id, tag.c.folded, content_tag.c.source)
            .join(content_tag)
            .where(content_tag.c.content_id == content_id)
        )
    }
    wanted = {folded: name for name in names if (folded := normalise(name).strip()) and folded not in refused}
    added = [folded for folded in wanted if folded not in current]
    for folded in added:
        tag_id = tag_id_of(connection, wanted[folded], folded)
        connection.execute(
            content_tag.insert().values(content_id=content_id, tag_id=tag_id, source="machine")
        )
    outdated = [row.id for folded, row in current.items() if row.source == "machine" and folded not in wanted]
    detach_tags(connection, [content_id], outdated)
    return bool(added or outdated)


def store_file_tags(
    connection: sa.Connection, content_id: int, wanted: Mapping[str, tuple[str, str]]
) -> tuple[bool, bool]:
    """Replace the tags that come from files; ``wanted`` maps a folded name to the name and its origin.

    Tags added in Smallsight stay, and a tag that a person removed is not added again. Returns whether the
    tags changed, and whether some are gone.
    """
    refused = set(
        connection.execute(
            sa.select(refused_tag.c.folded).where(refused_tag.c.content_id == content_id)
        ).scalars()
    )
    current = {
        row.folded: row
        for row in connection.execute(
            sa.select(tag.c.id, tag.c.folded, content_tag.c.source, content_tag.c.origin)
            .join(content_tag)
            .where(content_tag.c.content_id == content_id)
        )
    }
    has_added = False
    allowed = {folded: one for folded, one in wanted.items() if folded not in refused}
    for folded, (name, origin) in allowed.items():
        before = current.get(folded)
        is_own = before is not None and before.source == "human" and before.origin is None
        if is_own or (before is not None and before.origin == origin):
            continue
        connection.execute(
            insert(content_tag)
            .values(
                content_id=content_id,
                tag_id=tag_id_of(connection, name, folded),
                source="human",
                origin=origin,
            )
            .on_conflict_do_update(
                index_elements=["content_id", "tag_id"], set_={"source": "human", "origin": origin}
            )
        )
        has_added |= before is None
    gone = [row.id for folded, row in current.items() if row.origin is not None and folded not in allowed]
    detach_tags(connection, [content_id], gone)
    return has_added or bool(gone), bool(gone)


def add_suggested_tag(connection: sa.Connection, content_ids: Sequence[int], name: str, model: str) -> None:
    """Add a tag that a model suggested and a person accepted, where it is neither there nor refused."""
    folded = normalise(name).strip()
    refusing = sa.select(refused_tag.c.content_id).where(
        refused_tag.c.content_id.in_(content_ids), refused_tag.c.folded == folded
    )
    allowed = sorted(set(content_ids).difference(connection.execute(refusing).scalars()))
    if not allowed:
        return
    tag_id = tag_id_of(connection, name, folded)
    rows = [
        {"content_id": one, "tag_id": tag_id, "source": "human", "suggested_by": model} for one in allowed
    ]
    connection.execute(insert(content_tag).on_conflict_do_nothing(), rows)


def refuse_tag(connection: sa.Connection, content_ids: Sequence[int], name: str) -> None:
    """Let no machine add or suggest a tag, for the contents among these that lack it."""
    folded = normalise(name).strip()
    having = (
        sa.select(content_tag.c.content_id)
        .join(tag)
        .where(content_tag.c.content_id.in_(content_ids), tag.c.folded == folded)
    )
    lacking = sorted(set(content_ids).difference(connection.execute(having).scalars()))
    if lacking:
        rows = [{"content_id": one, "folded": folded} for one in lacking]
        connection.execute(insert(refused_tag).on_conflict_do_nothing(), rows)


def tag_id_of(connection: sa.Connection, name: str, folded: str) -> int:
    """Return the id of the tag with this folded form, creating it with this name if there is none."""
    connection.execute(insert(tag).values(name=name.strip(), folded=folded).on_conflict_do_nothing())
    return int(connection.execute(sa.select(tag.c.id).where(tag.c.folded == folded)).scalar_one())


def detach_tags(connection: sa.Connection, content_ids: Sequence[int], tag_ids: Collection[int]) -> None:
    """Remove tags from contents, and delete those that no content has any more."""
    if not tag_ids:
        return
    connection.execute(
        content_tag.delete().where(
            content_tag.c.content_id.in_(content_ids), content_tag.c.tag_id.in_(tag_ids)
        )
    )
    is_used = sa.exists().where(content_tag.c.tag_id == tag.c.id)
    connection.execute(tag.delete().where(tag.c.id.in_(tag_ids), ~is_used))


def chunk_texts(texts: EmbeddableTexts) -> list[str]:
    """Split what is known about a content into chunks, each of which gets a vector; may be empty.

    The text in the picture and the description are split into windows of 40 words that overlap by 10, because
    the embedder reads 256 tokens and because a short chunk matches a short question best. The tags make one
    chunk, and so does each meaningful file name. A text of one or two letters gets none.
    """
    chunks: list[str] = []
    ocr_text = "" if is_too_short_to_mean(texts.ocr_text or "") else texts.ocr_text
    for text in (texts.description, ocr_text):
        chunks.extend(_windows((text or "").split()))
    if texts.tags:
        chunks.append(", ".join(texts.tags))
    chunks.extend(phrase for name in texts.names if (phrase := _meaning_of_name(name)))
    return list(dict.fromkeys(chunks))[:_MAX_CHUNKS]


def _windows(words: Sequence[str]) -> list[str]:
    if not words:
        return []
    starts = range(0, max(len(words) - _WORDS_SHARED, 1), _WORDS_PER_CHUNK - _WORDS_SHARED)
    return [" ".join(words[start : start + _WORDS_PER_CHUNK]) for start in starts]


def _meaning_of_name(path: str) -> str:
    """Return the words of a file name if a person seems to have chosen it, else an empty string."""
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    words = [word for word in _NAME_WORD.findall(stem) if word.lower() not in _NAMES_WITHOUT_MEANING]
    return " ".join(words) if len(words) >= 2 else ""
