"""Finds the pictures most like one, by how they look and by what their texts mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smallsight.library.search.hits import Finding
from smallsight.library.search.similar import bits_to
from smallsight.library.search.text_index import IndexView, Neighbour

_MAX_BITS = 14  # of 64, for pictures to count as similar; near duplicates differ in a third of these
_MAX_ALIKE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What pictures are compared with: unsigned hashes of 64 bits, and vectors [D] of texts, of unit length.

    ``content_id`` is set for a picture of the library, which is not among the pictures like itself.
    """

    phash: int | None = None
    dhash: int | None = None
    vectors: Sequence[np.ndarray] = ()
    content_id: int | None = None


def likeness_of(view: IndexView, content_id: int) -> Likeness:
    """Return the likeness of a picture of the library."""
    hashes = view.hashes()
    rows = np.flatnonzero(hashes.content_ids_N == content_id)
    vectors = view.vectors_of(content_id)
    if not len(rows):
        return Likeness(None, None, vectors, content_id)
    row = int(rows[0])
    return Likeness(int(hashes.phashes_N[row]), int(hashes.dhashes_N[row]), vectors, content_id)


def most_alike(view: IndexView, likeness: Likeness, *, min_similarity: float, limit: int) -> list[Finding]:
    """Return pictures that look alike, closest first, then those whose texts mean something similar."""
    by_look = _by_look(view, likeness)
    by_text = _by_text(view, likeness, min_similarity, limit)
    by_text.pop(likeness.content_id or 0, None)
    findings = []
    for content_id in by_look.keys() | by_text.keys():
        look, near = by_look.get(content_id), by_text.get(content_id)
        names = (("similar_picture", look), ("similar_text", near))
        score = 1 + look if look is not None else 0.0 if near is None else near.similarity
        found_by = tuple(name for name, value in names if value is not None)
        meaning = (None, None) if near is None else (near.similarity, near.chunk_id)
        findings.append(Finding(content_id, score, found_by, *meaning))
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


def _by_text(view: IndexView, likeness: Likeness, min_similarity: float, limit: int) -> dict[int, Neighbour]:
    """Return the contents nearest to any of the texts."""
    best: dict[int, Neighbour] = {}
    for near in view.neighbours_of_each(likeness.vectors, limit + 1, min_similarity=min_similarity):
        for one in near:
            known = best.get(one.content_id)
            if known is None or one.similarity > known.similarity:
                best[one.content_id] = one
    return best
