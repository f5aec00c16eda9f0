"""Keeps a content's description, tags, date, camera and place in step with what its files say.

They say it in metadata and in sidecars. What a person wrote in Smallsight stays. The words of files come
next, sidecars before metadata, and a model's description last. What a person removed in Smallsight is not
added again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from smallsight.library.ledger import StageName
from smallsight.library.schema import content, content_tag, folder, outcome, picture, sidecar
from smallsight.library.search.tokens import normalise
from smallsight.library.taken import store_taken
from smallsight.library.texts import store_file_tags
from smallsight.library.version_keeping import keep_current
from smallsight.media.metadata.words import FileWords, Sourced, words_from_json

__all__ = ["apply_file_words", "refuse_caption", "store_metadata"]

_IDS_PER_STATEMENT = 500
_DESCRIBE, _TAG = StageName("describe"), StageName("tag")


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of one source; ``origin`` of a sidecar replaces those of its fields."""

    words: FileWords
    origin: str | None = None

    @property
    def caption(self) -> Sourced | None:
        found = self.words.caption
        return found if found is None else Sourced(found.text, self.origin or found.origin)

    @property
    def keywords(self) -> Iterator[Sourced]:
        return (Sourced(one.text, self.origin or one.origin) for one in self.words.keywords)


def store_metadata(connection: sa.Connection, content_id: int, words: FileWords) -> None:
    """Store what the metadata of a content says; ``apply_file_words`` makes it known."""
    stored = words.to_json() if words else None
    connection.exec_driver_sql("UPDATE content SET file_words = ? WHERE id = ?", (stored, content_id))


def apply_file_words(connection: sa.Connection, content_ids: Sequence[int]) -> list[int]:
    """Update descriptions and tags from the words of files; return the contents that have changed.

    A content without a file keeps what it has. The caller renews what is derived from the texts.
    """
    changed: list[int] = []
    for start in range(0, len(content_ids), _IDS_PER_STATEMENT):
        some = content_ids[start : start + _IDS_PER_STATEMENT]
        changed += [one for one in _with_file_words(connection, some) if _apply(connection, one)]
    return changed


def refuse_caption(connection: sa.Connection, content_id: int) -> None:
    """Record that a person emptied the description, so that it is not filled from the same caption again."""
    sources = _sources(connection, content_id)
    caption = None if sources is None else _caption(sources)
    refused = None if caption is None else caption.text
    connection.execute(content.update().where(content.c.id == content_id).values(description_refused=refused))


def _with_file_words(connection: sa.Connection, content_ids: Sequence[int]) -> list[int]:
    """Return those of the contents that have words of files, or had some."""
    return list(connection.execute(_WITH_FILE_WORDS, {"ids": list(content_ids)}).scalars())


def _select_with_file_words() -> sa.Select[int]:
    has_sidecar = sa.exists().where(
        picture.c.content_id == content.c.id, sidecar.c.picture_id == picture.c.id
    )
    has_tag = sa.exists().where(content_tag.c.content_id == content.c.id, content_tag.c.origin.is_not(None))
    has_words = sa.or_(
        content.c.file_words.is_not(None),
        content.c.description_origin.is_not(None),
        content.c.taken_origin.is_not(None),
        content.c.camera.is_not(None),
        content.c.latitude.is_not(None),
    )
    is_one = content.c.id.in_(sa.bindparam("ids", expanding=True))
    return (
        sa.select(content.c.id).where(is_one, sa.or_(has_words, has_sidecar, has_tag)).order_by(content.c.id)
    )


_WITH_FILE_WORDS = _select_with_file_words()  # made once, because it is needed for every content


def _apply(connection: sa.Connection, content_id: int) -> bool:
    sources = _sources(connection, content_id)
    if sources is None:
        return False
    store_taken(connection, content_id, [source.words for source in sources])
    keywords: dict[str, Sourced] = {}
    for source in sources:
        for one in source.keywords:
            if folded := normalise(one.text).strip():
                keywords.setdefault(folded, one)
    has_new_description = _store_caption(connection, content_id, _caption(sources))
    has_new_tags, has_fewer = store_file_tags(
        connection, content_id, {folded: (one.text, one.origin) for folded, one in keywords.items()}
    )
    if has_fewer:  # a model may have found the same
        _reopen(connection, content_id, _TAG)
    return has_new_description or has_new_tags


def _sources(connection: sa.Connection, content_id: int) -> list[_Words] | None:
    """Return the words of a content's sidecars and metadata by precedence; None if it has no file."""
    rows = connection.execute(
        sa.select(folder.c.path.label("root"), picture.c.path, sidecar.c.name, sidecar.c.words)
        .select_from(picture)
        .join(folder, folder.c.id == picture.c.folder_id)
        .outerjoin(sidecar, sidecar.c.picture_id == picture.c.id)
        .where(picture.c.content_id == content_id, picture.c.vanished_at_s.is_(None))
    ).all()
    if not rows:
        return None
    found: list[_Words] = []
    with_words = (row for row in rows if row.words is not None)
    for row in sorted(with_words, key=lambda row: _rank(row.root, row.path, row.name)):
        kind = "sidecar" if _is_xmp(row.name) else "takeout"
        found.append(_Words(words_from_json(row.words), f"{kind}:{row.name}"))
    stored = connection.execute(sa.select(content.c.file_words).where(content.c.id == content_id)).scalar()
    return found if stored is None else [*found, _Words(words_from_json(stored))]


def _rank(root: str, path: str, name: str) -> tuple[bool, str, str, int, str]:
    """Rank sidecars: XMP first, then by the picture's path, ``photo.jpg.xmp`` before ``photo.xmp``."""
    return not _is_xmp(name), root, path, -len(name), name


def _is_xmp(name: str) -> bool:
    return name.lower().endswith(".xmp")


def _caption(sources: Sequence[_Words]) -> Sourced | None:
    return next((caption for source in sources if (caption := source.caption) is not None), None)


def _store_caption(connection: sa.Connection, content_id: int, caption: Sourced | None) -> bool:
    """Store the caption of the files as the description, or remove one that is gone from them."""
    before = connection.execute(
        sa.select(
            content.c.description,
            content.c.description_source,
            content.c.description_origin,
            content.c.description_refused,
        ).where(content.c.id == content_id)
    ).one()
    if before.description_source == "human" and before.description_origin is None:
        return False
    if caption is not None and caption.text == before.description_refused:
        caption = None
    if caption is None and before.description_origin is None:
        return False
    values: dict[str, str | None] = {"description_model": None}
    if caption is None:
        values |= {"description": None, "description_source": None, "description_origin": None}
        _reopen(connection, content_id, _DESCRIBE)
    else:
        values |= {
            "description": caption.text,
            "description_source": "human",
            "description_origin": caption.origin,
        }
    connection.execute(content.update().where(content.c.id == content_id).values(**values))
    keep_current(connection, [content_id])
    return bool(before.description != values["description"])


def _reopen(connection: sa.Connection, content_id: int, stage: StageName) -> None:
    connection.execute(outcome.delete().where(outcome.c.content_id == content_id, outcome.c.stage == stage))
