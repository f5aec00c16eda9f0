"""The stage ``compare_looks``: copies that share too little for the stage ``compare``, by pictures' vectors.

A model says which pictures look alike; whether one lies in the other, and nothing else differs, is decided by
their pixels. What is only similar to a model stays apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice

import numpy as np
import sqlalchemy as sa

from smallsight.library.alike.comparing import Alignment, Thumbnail, compared
from smallsight.library.alike.pairs import AlikePair, Reason, read_pairs, store_pairs
from smallsight.library.alike.placing import SearchedImage, find_part
from smallsight.library.database import Database
from smallsight.library.ledger import Stage, StageName
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.search.text_index import IndexView
from smallsight.library.stages.compare import COMPARE_KEY, facts_of, thumbnail_reader
from smallsight.media.decoder import PictureDecoder
from smallsight.media.video_formats import CONTAINERS
from smallsight.settings import Settings

COMPARE_LOOKS = StageName("compare_looks")

SIDE_PX = 320  # at which thumbnails are compared: a part of one is enlarged
_MOST_PARTNERS = 4
_FEWEST_PICTURES, _SAMPLED_PICTURES = 20, 512
_WHOLE = (0.0, 1.0, 0.0, 1.0)
_CERTAIN = frozenset({Reason.OTHER_WORDS})
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class CompareLooksWork:
    """Compares each picture with the few that a picture embedding model finds most alike."""

    activity = "Looking for parts of pictures"
    needs = Needs.NOTHING
    holds_back = True
    contents_per_lease = 64

    def __init__(self, database: Database, settings: Settings, embedder_key: str) -> None:
        self._database = database
        self._settings = settings
        self._embedder_key = embedder_key
        self.stages = (Stage(COMPARE_LOOKS, f"compare-looks-1 {embedder_key} {COMPARE_KEY}"),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Compare a batch, and store its pairs in one transaction."""
        index = SqliteTextIndex(self._database)
        tried: set[tuple[int, int]] = set()
        with PictureDecoder(self._settings.limits) as decoder:
            while batch := list(islice(contents, self.contents_per_lease)):
                due = [content for content in batch if content.is_due(COMPARE_LOOKS)]
                self._compare(due, index, tried, decoder, outcomes)
                yield from batch

    def _compare(
        self,
        contents: Sequence[OpenedContent],
        index: SqliteTextIndex,
        tried: set[tuple[int, int]],
        decoder: PictureDecoder,
        outcomes: Outcomes,
    ) -> None:
        if not contents:
            return
        started_s = time.perf_counter()
        with index.reading() as view:
            wanted = self._candidates(view, [content.task.content_id for content in contents])
        with self._database.cursor() as cursor:
            known = {
                (one.first_id, one.second_id) for one in read_pairs(cursor) if one.reasons != (Reason.SCENE,)
            }
        wanted = [pair for pair in wanted if pair not in known | tried]
        tried.update(wanted)
        with self._database.reading() as connection:
            facts, sha256_of = facts_of(connection, sorted({one for pair in wanted for one in pair}))
        videos = {one for one, known in facts.items() if known.format in CONTAINERS}
        wanted = [pair for pair in wanted if not videos.intersection(pair)]  # a frame is not a copy of it
        pictures = CandidatePictures(thumbnail_reader(self._settings, decoder, sha256_of, SIDE_PX))
        placed = {pair: found for pair in wanted if (found := pictures.alignments(*pair))}
        pairs = [one for one in compared(placed, pictures.thumbnail, facts) if _is_certain(one)]
        seconds = (time.perf_counter() - started_s) / len(contents)

        def write(connection: sa.Connection) -> None:
            store_pairs(connection, pairs)

        outcomes.store([Ended(content, COMPARE_LOOKS, seconds) for content in contents], write)

    def _candidates(self, view: IndexView, content_ids: Sequence[int]) -> list[tuple[int, int]]:
        """Return the pairs of one of these contents and one of the few that look most like it.

        A copy is nearer to its picture than half way from what is usual in the library. Lower ids are first.
        """
        sample_ND = view.looks_sample(self._embedder_key, _SAMPLED_PICTURES)
        vectors = view.looks_of_each(self._embedder_key, content_ids)
        pairs: set[tuple[int, int]] = set()
        for content_id, vector_D in vectors.items():
            is_small = len(sample_ND) < _FEWEST_PICTURES
            least = 0.0 if is_small else (1 + float(np.median(sample_ND @ vector_D))) / 2
            near = view.looks_near(self._embedder_key, vector_D, _MOST_PARTNERS + 1, min_similarity=least)
            others = [one.content_id for one in near if one.content_id != content_id]
            pairs |= {(min(content_id, one), max(content_id, one)) for one in others[:_MOST_PARTNERS]}
        return sorted(pairs)


class CandidatePictures:
    """The thumbnails of one batch, as they are and as they are searched."""

    def __init__(self, read: Callable[[int], Thumbnail | None]) -> None:
        self._read = read
        self._thumbnails: dict[int, Thumbnail | None] = {}
        self._searched: dict[int, SearchedImage] = {}

    def thumbnail(self, content_id: int) -> Thumbnail | None:
        """Return the pixels of a thumbnail, None if there is none."""
        if content_id not in self._thumbnails:
            self._thumbnails[content_id] = self._read(content_id)
        return self._thumbnails[content_id]

    def alignments(self, one_id: int, other_id: int) -> list[Alignment]:
        """Return where either picture seems to lie in the other, the likeliest first."""
        one, other = self._as_searched(one_id), self._as_searched(other_id)
        if one is None or other is None:
            return []
        found = []
        if (part := find_part(one, other)) is not None:
            found.append((part.correlation, Alignment(0, 0, part.rect, _WHOLE, 1)))
        if (part := find_part(other, one)) is not None:
            found.append((part.correlation, Alignment(0, 0, _WHOLE, part.rect, 0)))
        return [alignment for _, alignment in sorted(found, key=lambda pair: -pair[0])]

    def _as_searched(self, content_id: int) -> SearchedImage | None:
        if content_id not in self._searched:
            image_HWC = self.thumbnail(content_id)
            if image_HWC is None:
                return None
            self._searched[content_id] = SearchedImage((image_HWC @ _LUMA + 0.5).astype(np.uint8))
        return self._searched[content_id]


def _is_certain(pair: AlikePair) -> bool:
    """Return whether the pair says more than that two pictures look similar."""
    return pair.is_same or bool(_CERTAIN & set(pair.reasons))
