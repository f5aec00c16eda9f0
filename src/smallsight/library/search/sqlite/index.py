"""The text index of one library in its SQLite file: the implementation of ``search/text_index.py``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from smallsight.library.database import Database
from smallsight.library.search.query import Query
from smallsight.library.search.sqlite import matching, vocabulary
from smallsight.library.search.sqlite.shown import chunk_texts, read_shown
from smallsight.library.search.text_index import Condition, Neighbour, ShownContent
from smallsight.library.search.word_list import NO_WORDS, WordList

if TYPE_CHECKING:
    import numpy as np

    from smallsight.library.search.similar import Hashes
    from smallsight.library.search.sqlite.vectors import VectorIndex


class SqliteTextIndex:
    """Words by FTS5, vectors in memory; without an ``embedder_key`` there are no vectors.

    ``words`` are those that a search does not take for misspellings.
    """

    def __init__(
        self, database: Database, embedder_key: str | None = None, words: WordList = NO_WORDS
    ) -> None:
        self._words = words
        self._database = database
        self._vectors: VectorIndex | None = None
        if embedder_key is not None:
            from smallsight.library.search.sqlite.vectors import VectorIndex  # noqa: PLC0415 - imports numpy

            self._vectors = VectorIndex(database, embedder_key)

    @contextmanager
    def reading(self) -> Iterator[SqliteView]:
        """Yield a view within one read-only transaction."""
        with self._database.cursor() as cursor:
            yield SqliteView(cursor, self._vectors, self._words)


class SqliteView:
    """A view through one cursor; valid as long as its transaction lasts."""

    def __init__(self, cursor: sqlite3.Cursor, vectors: VectorIndex | None, words: WordList) -> None:
        self._words = words
        self._cursor = cursor
        self._vectors = vectors

    def newest(self, condition: Condition, limit: int, offset: int = 0) -> list[int]:
        """Return ids, newest first."""
        return matching.newest_ids(self._cursor, condition, limit, offset)

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

    def neighbours(
        self, query_D: np.ndarray, limit: int, *, min_similarity: float, among: Condition | None = None
    ) -> list[Neighbour]:
        """Return contents by the cosine of their nearest chunk; none without vectors."""
        if self._vectors is None:
            return []
        ids_K = None if among is None else matching.all_ids(self._cursor, among)
        return self._vectors.neighbours(
            self._cursor, query_D, limit, min_similarity=min_similarity, among=ids_K
        )

    def vectors_of(self, content_id: int) -> list[np.ndarray]:
        """Return float32 [D] for each chunk; none without vectors."""
        return [] if self._vectors is None else self._vectors.vectors_of(self._cursor, content_id)

    def hashes(self) -> Hashes:
        """Read all hashes."""
        from smallsight.library.search.sqlite.duplicates import read_hashes  # noqa: PLC0415 - imports numpy

        return read_hashes(self._cursor)

    def shown(self, content_ids: Sequence[int]) -> dict[int, ShownContent]:
        """Read contents with their files and tags."""
        return read_shown(self._cursor, content_ids)

    def chunk_text(self, chunk_id: int) -> str | None:
        """Read the text of one chunk."""
        return chunk_texts(self._cursor, [chunk_id]).get(chunk_id)
