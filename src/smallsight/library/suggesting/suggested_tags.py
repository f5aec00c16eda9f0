"""Suggestions of tags for pictures from their vectors, and what a person decides about them.

Nothing of a suggestion is stored. What a person accepts becomes an ordinary tag, what a person rejects
becomes a refused one; both are edits, which can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.edits import Advance, EditReport, change_contents, folded_tag, in_few_words
from smallsight.library.kinship import twins_of
from smallsight.library.schema import content_tag, picture, picture_vector, refused_tag, tag
from smallsight.library.suggesting.scores import scores_of
from smallsight.library.suggesting.vocabulary import Thing
from smallsight.library.texts import add_suggested_tag, refuse_tag

MAX_FOR_ONE = 12  # of one picture, the best
_CONTENTS_PER_READ = 512

_WriteDecision = Callable[[sa.Connection, Sequence[int], str], object]


@dataclass(frozen=True, slots=True)
class SuggestedTag:
    """A tag that one content may get; ``score`` as in ``scores``."""

    content_id: int
    tag: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class VocabularyVectors:
    """The things of a vocabulary with their vectors [T, D] of the model with the key ``embedder_key``."""

    things: Mapping[str, Thing]
    vectors_TD: np.ndarray
    embedder_key: str
    contrast: float
    min_similarity: float


def has_vectors(database: Database, embedder_key: str) -> bool:
    """Return whether any picture has a vector of this model."""
    statement = sa.select(picture_vector.c.id).where(picture_vector.c.embedder_key == embedder_key).limit(1)
    with database.reading() as connection:
        return connection.execute(statement).first() is not None


def suggest_tags(
    database: Database,
    vocabulary: VocabularyVectors,
    min_score: float,
    content_ids: Sequence[int] | None = None,
    advance: Advance | None = None,
) -> list[SuggestedTag]:
    """Return what contents with a file and a vector may be tagged with, best first for each, at most 12.

    Of an animation or a video, each tag has the score of the frame that shows it best.

    Tags that a content has, from whoever, and those that a person refused for it are left out.
    """
    folded = list(vocabulary.things)
    found: list[SuggestedTag] = []
    with database.reading() as connection:
        for ids_N, vectors_VD, starts_N in _blocks(connection, vocabulary.embedder_key, content_ids):
            similarities_VT = vectors_VD @ vocabulary.vectors_TD.T
            scores_VT = scores_of(similarities_VT, vocabulary.contrast, vocabulary.min_similarity)
            scores_NT = np.maximum.reduceat(scores_VT, starts_N)  # of its best frame
            scores_NT[scores_NT <= 0] = -1  # below what the model asks for, even with the least score 0
            known = _decided(connection, ids_N.tolist())
            for content_id, scores_T in zip(ids_N.tolist(), scores_NT, strict=True):
                decided = known.get(content_id, set())
                best = (int(one) for one in np.argsort(-scores_T, kind="stable"))
                kept = 0
                for thing in best:
                    if scores_T[thing] < min_score or kept == MAX_FOR_ONE:
                        break
                    if folded[thing] in decided:
                        continue
                    name = vocabulary.things[folded[thing]].tag
                    found.append(SuggestedTag(content_id, name, round(float(scores_T[thing]), 4)))
                    kept += 1
            if advance is not None:
                advance(len(ids_N))
    return found


def count_vectors(database: Database, embedder_key: str) -> int:
    """Return the number of pictures that suggestions can be made for."""
    with database.reading() as connection:
        statement = sa.select(sa.func.count(picture_vector.c.content_id.distinct()))
        return int(connection.execute(statement.where(_has_vector(embedder_key))).scalar_one())


def accept_suggestions(
    database: Database, suggestions: Sequence[SuggestedTag], model: str, advance: Advance | None = None
) -> EditReport:
    """Tag contents, and others with the same pixels, as suggested by a model; one edit.

    A tag that a content has meanwhile stays as it is, and one that was refused meanwhile is not added.
    """

    def write(connection: sa.Connection, content_ids: Sequence[int], name: str) -> None:
        add_suggested_tag(connection, content_ids, name, model)

    names = in_few_words(list(dict.fromkeys(one.tag for one in suggestions)))
    return _decide(database, suggestions, f"suggested by {model}: tagged {names}", write, advance)


def reject_suggestions(
    database: Database, suggestions: Sequence[SuggestedTag], advance: Advance | None = None
) -> EditReport:
    """Let these tags never be suggested again for these contents and others with the same pixels; one edit.

    A tag that a content has meanwhile stays.
    """
    names = in_few_words(list(dict.fromkeys(one.tag for one in suggestions)))
    return _decide(database, suggestions, f"suggestions rejected: {names}", refuse_tag, advance)


def _decide(
    database: Database,
    suggestions: Sequence[SuggestedTag],
    summary: str,
    write: _WriteDecision,
    advance: Advance | None,
) -> EditReport:
    ids_by_tag: dict[str, set[int]] = {}
    for one in suggestions:
        folded_tag(one.tag)  # raises ArgumentError
        ids_by_tag.setdefault(one.tag, set()).add(one.content_id)
    content_ids = list(dict.fromkeys(one.content_id for one in suggestions))

    def write_all(connection: sa.Connection, some: Sequence[int]) -> None:
        for name, wanted in ids_by_tag.items():
            if chosen := sorted(wanted.intersection(some)):
                write(connection, [*chosen, *twins_of(connection, *chosen)], name)

    return change_contents(database, content_ids, summary, write_all, with_twins=True, advance=advance)


def _blocks(
    connection: sa.Connection, embedder_key: str, content_ids: Sequence[int] | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield content ids [N], vectors float32 [V, D] of all their frames, and where each begins [N]."""
    of = picture_vector.c
    present = sa.select(of.content_id).where(_has_vector(embedder_key)).distinct()
    wanted = None if content_ids is None else sorted(set(content_ids))
    after = 0
    while True:
        page = present.where(of.content_id > after)
        if wanted is not None:
            some, wanted = wanted[:_CONTENTS_PER_READ], wanted[_CONTENTS_PER_READ:]
            if not some:
                return
            page = present.where(of.content_id.in_(some))
        ids = list(connection.execute(page.order_by(of.content_id).limit(_CONTENTS_PER_READ)).scalars())
        if ids:
            rows = connection.execute(
                sa.select(of.content_id, of.vector)
                .where(of.content_id.in_(ids), of.embedder_key == embedder_key)
                .order_by(of.content_id, of.id)
            ).all()
            vectors_VD = np.stack([np.frombuffer(row.vector, "<f2") for row in rows]).astype(np.float32)
            ids_N, starts_N = np.unique([row.content_id for row in rows], return_index=True)
            yield ids_N, vectors_VD, starts_N
            after = ids[-1]
        elif wanted is None:
            return


def _has_vector(embedder_key: str) -> sa.ColumnElement[bool]:
    has_file = sa.exists().where(
        picture.c.content_id == picture_vector.c.content_id, picture.c.vanished_at_s.is_(None)
    )
    return sa.and_(picture_vector.c.embedder_key == embedder_key, has_file)


def _decided(connection: sa.Connection, content_ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the folded tags that contents have, or that a person refused for them."""
    has = (
        sa.select(content_tag.c.content_id, tag.c.folded)
        .join(tag)
        .where(content_tag.c.content_id.in_(content_ids))
    )
    refused = sa.select(refused_tag.c.content_id, refused_tag.c.folded).where(
        refused_tag.c.content_id.in_(content_ids)
    )
    known: dict[int, set[str]] = {}
    for row in connection.execute(sa.union_all(has, refused)):
        known.setdefault(row.content_id, set()).add(row.folded)
    return known
