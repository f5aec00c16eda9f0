"""Finds the pictures most like one, by how they look and by what their texts mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smallsight.library.search.fusion import fuse
from smallsight.library.search.hits import Finding
from smallsight.library.search.similar import bits_to
from smallsight.library.search.text_index import IndexView, Neighbour

_MAX_BITS = 14  # of 64, for pictures to count as similar; near duplicates differ in a third of these
_MAX_ALIKE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What pictures are compared with: unsigned hashes of 64 bits, and vectors [D] of texts, of unit length.

    ``content_id`` is set for a picture of the library, which is not among the pictures like itself. ``look``
    is the vector of the picture, float32 [D], of the picture embedding model with the key ``look_key``.
    """

    phash: int | None = None
    dhash: int | None = None
    vectors: Sequence[np.ndarray] = ()
    content_id: int | None = None
    look: np.ndarray | None = None
    look_key: str | None = None


def likeness_of(view: IndexView, content_id: int) -> Likeness:
    """Return the likeness of a picture of the library."""
    hashes = view.hashes()
    rows = np.flatnonzero(hashes.content_ids_N == content_id)
    vectors = view.vectors_of(content_id)
    key = view.look_key(content_id)
    look = view.looks_of(key, content_id)[0] if key is not None else None
    if not len(rows):
        return Likeness(None, None, vectors, content_id, look, key)
    row = int(rows[0])
    phash, dhash = int(hashes.phashes_N[row]), int(hashes.dhashes_N[row])
    return Likeness(phash, dhash, vectors, content_id, look, key)


def most_alike(view: IndexView, likeness: Likeness, *, min_similarity: float, limit: int) -> list[Finding]:
    """Return near copies, closest first, then what looks like the picture or has a similar text.

    The last two are joined by rank where there are vectors of pictures, else ordered by similarity.
    """
    by_look = _by_look(view, likeness)
    by_text = _by_text(view, likeness, min_similarity, limit)
    by_vector = _by_vector(view, likeness, limit)
    for found in (by_text, by_vector):
        found.pop(likeness.content_id or 0, None)
    ranked = [(one, near.similarity) for one, near in by_text.items()]
    look_ids = sorted(by_vector, key=lambda one: -by_vector[one].similarity)
    ranked.sort(key=lambda pair: -pair[1])
    joined = dict(fuse((), {}, ranked, look_ids)) if by_vector else dict(ranked)
    findings = []
    for content_id in by_look.keys() | joined.keys():
        copy, near, vector = by_look.get(content_id), by_text.get(content_id), by_vector.get(content_id)
        names = (("similar_picture", copy), ("looks_like", vector), ("similar_text", near))
        score = joined[content_id] if copy is None else 1 + copy
        found_by = tuple(name for name, value in names if value is not None)
        similarity = near.similarity if near is not None else None if vector is None else vector.similarity
        chunk_id = None if near is None else near.chunk_id
        findings.append(Finding(content_id, score, found_by, similarity, chunk_id))
    return sorted(findings, key=lambda finding: (-finding.score, finding.content_id))


def _by_look(view: IndexView, likeness: Likeness) -> Mapping[int, float]:
    """Return the share of hash bits that agree, for the contents that look alike, closest first."""
    if likeness.phash is None or likeness.dhash is None:
        return {}
    hashes = view.hashes()
    bits_N = bits_to(hashes, likeness.phash, likeness.dhash)
    near = np.flatnonzero((bits_N <= _MAX_BITS) & (hashes.content_ids_N != (likeness.content_id or 0)))
    near = near[np.argsort(bits_N[near], kind="stable")][:_MAX_ALIKE]
    return {int(hashes.content_ids_N[row]): 1 - int(bits_N[row]) / 64 for row in near.tolist()}


def _by_vector(view: IndexView, likeness: Likeness, limit: int) -> dict[int, Neighbour]:
    """Return the contents that look more like the picture than pictures of the library usually do."""
    if likeness.look is None or likeness.look_key is None:
        return {}
    near = view.looks_near(likeness.look_key, likeness.look, limit + 1, min_similarity=0.0)
    return {one.content_id: one for one in near if one.distinctness > 0}


def _by_text(view: IndexView, likeness: Likeness, min_similarity: float, limit: int) -> dict[int, Neighbour]:
    """Return the contents nearest to any of the texts."""
    best: dict[int, Neighbour] = {}
    for near in view.neighbours_of_each(likeness.vectors, limit + 1, min_similarity=min_similarity):
        for one in near:
            known = best.get(one.content_id)
            if known is None or one.similarity > known.similarity:
                best[one.content_id] = one
    return best
