"""Finds the pictures most like one, by how they look and by what their texts mean.

Words with a plus or a minus have changed the look that is looked for: see ``look_arithmetic``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from smallsight.library.search.filtered import nearest_passing
from smallsight.library.search.fusion import fuse
from smallsight.library.search.hits import Finding
from smallsight.library.search.query import Query
from smallsight.library.search.similar import bits_to
from smallsight.library.search.text_index import NO_FILTERS, Among, IndexView, Neighbour

_MAX_BITS = 14  # of 64, for pictures to count as similar; near duplicates differ in a third of these
_MAX_ALIKE = 10_000
_FEWEST_PICTURES, _SAMPLED_PICTURES = 20, 512
_UNLIKE, _ALIKE = 0.1, 0.98  # shares of the library that are less alike; the picture itself may be in it


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """What pictures are compared with: unsigned hashes of 64 bits, and vectors [D] of texts, of unit length.

    ``content_id`` is set for a picture of the library, which is not among the pictures like itself. ``look``
    is the vector of the picture, float32 [D], of the picture embedding model with the key ``look_key``; it
    ``is_changed`` if words have changed it.
    """

    phash: int | None = None
    dhash: int | None = None
    vectors: Sequence[np.ndarray] = ()
    content_id: int | None = None
    look: np.ndarray | None = None
    look_key: str | None = None
    is_changed: bool = False


@dataclass(frozen=True, slots=True)
class AlikeSearch:
    """Which pictures may be found: those that pass the filters of ``query``, and are among ``only`` if given.

    ``supporting`` are contents that added words find by texts, best first, and how. ``min_similarity`` is the
    least of similar texts. About ``limit`` contents are wanted of each list.
    """

    query: Query = NO_FILTERS
    only: frozenset[int] | None = None
    supporting: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    min_similarity: float = 0.0
    limit: int = 100


def likeness_of(view: IndexView, content_id: int) -> Likeness:
    """Return the likeness of a picture of the library."""
    hashes = view.hashes()
    rows = np.flatnonzero(hashes.content_ids_N == content_id)
    vectors = view.vectors_of(content_id)
    key = view.look_key(content_id)
    look = None if key is None else view.looks_of_each(key, [content_id]).get(content_id)
    if not len(rows):
        return Likeness(None, None, vectors, content_id, look, key)
    row = int(rows[0])
    phash, dhash = int(hashes.phashes_N[row]), int(hashes.dhashes_N[row])
    return Likeness(phash, dhash, vectors, content_id, look, key)


def most_alike(view: IndexView, likeness: Likeness, wanted: AlikeSearch) -> list[Finding]:
    """Return near copies, closest first, then what looks like the picture or has a similar text.

    The last two are joined by rank where there are vectors of pictures, else ordered by similarity. For a
    look that words have changed, copies of the picture are not looked for, and contents that words find by
    texts go further up; they are not found by that alone.
    """
    by_look = {} if likeness.is_changed else _by_look(view, likeness, wanted)
    by_text = _by_text(view, likeness, wanted)
    by_vector = _by_vector(view, likeness, wanted)
    for found in (by_text, by_vector):
        found.pop(likeness.content_id or 0, None)
    ranked = [(one, near.similarity) for one, near in by_text.items()]
    look_ids = sorted(by_vector, key=lambda one: -by_vector[one].similarity)
    ranked.sort(key=lambda pair: -pair[1])
    supporting = [one for one in wanted.supporting if one in by_vector]
    joined = dict(fuse((), {}, ranked, look_ids, supporting)) if by_vector else dict(ranked)
    findings = []
    for content_id in by_look.keys() | joined.keys():
        copy, near, vector = by_look.get(content_id), by_text.get(content_id), by_vector.get(content_id)
        names = (("similar_picture", copy), ("looks_like", vector), ("similar_text", near))
        score = joined[content_id] if copy is None else 1 + copy
        found_by = tuple(name for name, value in names if value is not None)
        if content_id in by_vector:
            found_by += wanted.supporting.get(content_id, ())
        shown = vector if likeness.is_changed and vector is not None else near or vector
        similarity = None if shown is None else shown.similarity
        chunk_id = None if near is None else near.chunk_id
        look_id = None if vector is None else vector.chunk_id
        findings.append(Finding(content_id, score, found_by, similarity, chunk_id, look_id))
    return sorted(findings, key=lambda finding: (-finding.score, finding.content_id))


def _by_look(view: IndexView, likeness: Likeness, wanted: AlikeSearch) -> Mapping[int, float]:
    """Return the share of hash bits that agree, for the contents that look alike, closest first."""
    if likeness.phash is None or likeness.dhash is None:
        return {}
    hashes = view.hashes()
    bits_N = bits_to(hashes, likeness.phash, likeness.dhash)
    near = np.flatnonzero((bits_N <= _MAX_BITS) & (hashes.content_ids_N != (likeness.content_id or 0)))
    near = near[np.argsort(bits_N[near], kind="stable")][:_MAX_ALIKE]
    found = {int(hashes.content_ids_N[row]): 1 - int(bits_N[row]) / 64 for row in near.tolist()}
    passing = view.passing(list(found), wanted.query)
    if wanted.only is not None:
        passing &= wanted.only
    return {content_id: share for content_id, share in found.items() if content_id in passing}


def _by_vector(view: IndexView, likeness: Likeness, wanted: AlikeSearch) -> dict[int, Neighbour]:
    """Return the contents that look more like the picture than pictures of the library usually do."""
    key, look_D = likeness.look_key, likeness.look
    if look_D is None or key is None:
        return {}
    least = _least_alike(look_D, view.looks_sample(key, _SAMPLED_PICTURES))

    def find(num_asked: int, among: Among | None) -> list[Neighbour]:
        return view.looks_near(key, look_D, num_asked, min_similarity=least, among=among)

    near = nearest_passing(view, wanted.query, wanted.limit + 1, find, wanted.only)
    return {one.content_id: one for one in near}


def _least_alike(look_D: np.ndarray, sample_ND: np.ndarray) -> float:
    """Return the cosine half way from pictures that are not like it to those that are most like it.

    The mean would not do: it is near to the greatest where most of the library looks the same.
    """
    if len(sample_ND) < _FEWEST_PICTURES:
        return 0.0
    unlike, alike = np.quantile(sample_ND @ look_D, (_UNLIKE, _ALIKE))
    return float(unlike + alike) / 2


def _by_text(view: IndexView, likeness: Likeness, wanted: AlikeSearch) -> dict[int, Neighbour]:
    """Return the contents nearest to any of the texts."""
    best: dict[int, Neighbour] = {}
    for near in _near_each(view, likeness.vectors, wanted):
        for one in near:
            known = best.get(one.content_id)
            if known is None or one.similarity > known.similarity:
                best[one.content_id] = one
    return best


def _near_each(
    view: IndexView, vectors: Sequence[np.ndarray], wanted: AlikeSearch
) -> Iterator[list[Neighbour]]:
    """Yield the contents nearest to each vector that pass; all at once without filters, in less time."""
    least, limit = wanted.min_similarity, wanted.limit + 1
    if wanted.only is None and not wanted.query.is_filtered:
        for near in view.neighbours_of_each(vectors, limit, min_similarity=least):
            passing = view.passing([one.content_id for one in near], wanted.query)
            yield [one for one in near if one.content_id in passing]
        return
    for vector_D in vectors:
        find = partial(_near_text, view, vector_D, least)
        yield nearest_passing(view, wanted.query, limit, find, wanted.only)


def _near_text(
    view: IndexView, vector_D: np.ndarray, least: float, num_asked: int, among: Among | None
) -> list[Neighbour]:
    return view.neighbours(vector_D, num_asked, min_similarity=least, among=among)
