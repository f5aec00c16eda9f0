"""The text index of one library in its SQLite file: the implementation of ``search/text_index.py``."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from smallsight.library.database import Database
from smallsight.library.search.query import Query
from smallsight.library.search.sqlite import matching, vocabulary
from smallsight.library.search.sqlite.shown import chunk_texts, read_shown
from smallsight.library.search.text_index import NO_FILTERS, Among, Condition, Neighbour, ShownContent, Sort
from smallsight.library.search.word_list import NO_WORDS, WordList

if TYPE_CHECKING:
    import numpy as np

    from smallsight.library.search.similar import Hashes
    from smallsight.library.search.sqlite.vectors import CompileProduct, VectorIndex


class _KeptHashes:
    """The hashes of all contents, kept while the library does not change; thread-safe."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._kept: tuple[int, Hashes] | None = None

    def get(self, cursor: sqlite3.Cursor, version: int) -> Hashes:
        from smallsight.library.search.sqlite.duplicates import read_hashes  # noqa: PLC0415 - imports numpy

        with self._turn:
            if self._kept is None or self._kept[0] != version:
                self._kept = version, read_hashes(cursor)
            return self._kept[1]


class SqliteTextIndex:
    """Words by FTS5, vectors in memory; without an ``embedder_key`` there are no vectors.

    ``words`` are those that a search does not take for misspellings; ``compile_product`` is for many
    searches.
    """

    def __init__(
        self,
        database: Database,
        embedder_key: str | None = None,
        words: WordList = NO_WORDS,
        compile_product: CompileProduct | None = None,
    ) -> None:
        self._words = words
        self._database = database
        self._hashes = _KeptHashes()
        self._compile_product = compile_product
        self._vectors: VectorIndex | None = None
        self._looks: dict[str, VectorIndex] = {}  # by the key of the model
        if embedder_key is not None:
            from smallsight.library.search.sqlite.vectors import VectorIndex  # noqa: PLC0415 - imports numpy

            self._vectors = VectorIndex(database, embedder_key, compile_product)

    @contextmanager
    def reading(self) -> Iterator[SqliteView]:
        """Yield a view within one read-only transaction."""
        version = self._database.version()  # before the transaction, so that it is never too new
        with self._database.cursor() as cursor:
            yield SqliteView(cursor, self._vectors, self._words, self._hashes, version, self._looks_by)

    def _looks_by(self, key: str) -> VectorIndex:
        from smallsight.library.search.sqlite.vectors import VectorIndex  # noqa: PLC0415 - imports numpy

        new = VectorIndex(self._database, key, self._compile_product, table="picture_vector")
        return self._looks.setdefault(key, new)


class SqliteView:
    """A view through one cursor; valid as long as its transaction lasts."""

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        vectors: VectorIndex | None,
        words: WordList,
        hashes: _KeptHashes,
        version: int,
        looks_by: Callable[[str], VectorIndex],
    ) -> None:
        self._looks_by = looks_by
        self._words = words
        self._kept_hashes, self.version = hashes, version
        self._cursor = cursor
        self._vectors = vectors
        self._newest: dict[tuple[Condition, int, int], list[int]] = {}

    def newest(self, condition: Condition, limit: int, offset: int = 0) -> list[int]:
        """Return ids, the highest first; a form that was asked for before is not looked up again."""
        asked = condition, limit, offset
        if asked not in self._newest:
            parts = [] if offset else self._parts(condition, limit)
            if len(parts) > 1:
                found = {one for part in parts for one in self.newest(part, limit)}
                self._newest[asked] = sorted(found, reverse=True)[:limit]
            else:
                self._newest[asked] = matching.newest_ids(self._cursor, condition, limit, offset)
        return list(self._newest[asked])

    def _parts(self, condition: Condition, limit: int) -> list[Condition]:
        """Divide a group of several forms into those that were asked for before, and the rest."""
        if len(condition.groups) != 1:
            return [condition]
        each = [replace(condition, groups=((form,),)) for form in dict.fromkeys(condition.groups[0])]
        known = [one for one in each if (one, limit, 0) in self._newest]
        rest = tuple(one.groups[0][0] for one in each if one not in known)
        return [*known, *([replace(condition, groups=(rest,))] if rest else [])] if known else [condition]

    def listed(self, condition: Condition, sort: Sort, limit: int, offset: int = 0) -> list[int]:
        """Return ids by a facet."""
        return matching.listed_ids(self._cursor, condition, sort, limit, offset)

    def sorted_among(self, content_ids: Sequence[int], sort: Sort) -> list[int]:
        """Return these ids by a facet."""
        return matching.sorted_among(self._cursor, content_ids, sort)

    def count(self, condition: Condition, limit: int) -> int:
        """Count contents up to the limit."""
        return matching.count(self._cursor, condition, limit)

    def passing(self, content_ids: Sequence[int], query: Query) -> set[int]:
        """Return the contents among these that have a file and pass."""
        return matching.passing_among(self._cursor, content_ids, query)

    def texts(self, content_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return indexed texts in the order of ``matching.COLUMNS``."""
        return matching.indexed_texts(self._cursor, content_ids)

    def newest_id(self) -> int:
        """Return the highest id in the index, or 0."""
        return matching.newest_id(self._cursor)

    def terms_containing(self, part: str) -> list[str]:
        """Return at most 128 terms."""
        return vocabulary.terms_containing(self._cursor, part)

    def known_terms(self, terms: Sequence[str]) -> set[str]:
        """Return the terms ever indexed among these."""
        return vocabulary.known_terms(self._cursor, terms)

    def corrections(self, word: str, num_contents: int) -> list[str]:
        """Return at most 5 terms, the likeliest first."""
        return vocabulary.corrections(self._cursor, word, num_contents, self._words)

    def slips(self, word: str, num_contents: int) -> list[str]:
        """Return at most 5 terms, the likeliest first."""
        return vocabulary.slips(self._cursor, word, num_contents, self._words)

    def is_gibberish(self, words: Sequence[str]) -> bool:
        """Ask the word list, then the terms ever indexed."""
        if self._words.is_empty or any(map(self._words.knows, words)):
            return False
        return not vocabulary.known_terms(self._cursor, words)

    def has_descriptions(self) -> bool:
        """Look for one description."""
        return matching.has_descriptions(self._cursor)

    def expect(self, query_D: np.ndarray) -> None:
        """Begin with the products of a vector."""
        if self._vectors is not None:
            self._vectors.expect(self._cursor, query_D)

    def neighbours(
        self, query_D: np.ndarray, limit: int, *, min_similarity: float, among: Among | None = None
    ) -> list[Neighbour]:
        """Return contents by the cosine of their nearest chunk; none without vectors."""
        if self._vectors is None:
            return []
        ids_K = None if among is None else self._ids(among)
        return self._vectors.neighbours(
            self._cursor, query_D, limit, min_similarity=min_similarity, among=ids_K
        )

    def neighbours_of_each(
        self, queries: Sequence[np.ndarray], limit: int, *, min_similarity: float
    ) -> list[list[Neighbour]]:
        """Return the neighbours of each query; none without vectors."""
        if self._vectors is None:
            return [[] for _ in queries]
        return self._vectors.neighbours_of_each(self._cursor, queries, limit, min_similarity=min_similarity)

    def vectors_of(self, content_id: int) -> list[np.ndarray]:
        """Return float32 [D] for each chunk; none without vectors."""
        return [] if self._vectors is None else self._vectors.vectors_of(self._cursor, content_id)

    def look_key(self, content_id: int | None = None) -> str | None:
        """Read the key of the newest vector of a picture."""
        return matching.look_key(self._cursor, content_id)

    def looks_near(
        self,
        key: str,
        query_D: np.ndarray,
        limit: int,
        *,
        min_similarity: float,
        among: Among | None = None,
    ) -> list[Neighbour]:
        """Return contents by the cosine of their nearest picture or frame."""
        ids_K = None if among is None else self._ids(among)
        return self._looks_by(key).neighbours(
            self._cursor, query_D, limit, min_similarity=min_similarity, among=ids_K
        )

    def looks_of_each(self, key: str, content_ids: Sequence[int]) -> dict[int, np.ndarray]:
        """Return float32 [D] of each picture that has one, without frames."""
        from smallsight.library.search.sqlite import look_vectors  # noqa: PLC0415 - imports numpy

        return look_vectors.vectors_of_each(self._cursor, key, content_ids)

    def looks_at(self, look_ids: Sequence[int]) -> dict[int, np.ndarray]:
        """Return float32 [D] of each row that is still there."""
        from smallsight.library.search.sqlite import look_vectors  # noqa: PLC0415 - imports numpy

        return look_vectors.vectors_at(self._cursor, look_ids)

    def look_times(self, look_ids: Sequence[int]) -> dict[int, float]:
        """Read the times of rows, and of the still of a video."""
        from smallsight.library.search.sqlite import look_vectors  # noqa: PLC0415 - imports numpy

        return look_vectors.times_at(self._cursor, look_ids)

    def looks_sample(self, key: str, limit: int) -> np.ndarray:
        """Return float32 [N, D], evenly from all ids."""
        from smallsight.library.search.sqlite import look_vectors  # noqa: PLC0415 - imports numpy

        return look_vectors.sample_vectors(self._cursor, key, limit)

    def count_looks(self, key: str, query: Query = NO_FILTERS) -> int:
        """Count the rows under the key."""
        return matching.count_looks(self._cursor, key, Condition(query=query))

    def hashes(self) -> Hashes:
        """Read all hashes, unless they are known since the last change of the library."""
        return self._kept_hashes.get(self._cursor, self.version)

    def shown(self, content_ids: Sequence[int]) -> dict[int, ShownContent]:
        """Read contents with their files and tags."""
        return read_shown(self._cursor, content_ids)

    def chunk_text(self, chunk_id: int) -> str | None:
        """Read the text of one chunk."""
        return chunk_texts(self._cursor, [chunk_id]).get(chunk_id)

    def _ids(self, among: Among) -> np.ndarray:
        if isinstance(among, Condition):
            return matching.all_ids(self._cursor, among)
        import numpy as np  # noqa: PLC0415 - a search by words does not need it

        return np.fromiter(among, np.int64)
