"""The vectors of chunks or pictures under one embedder, and the nearest neighbours among all, exactly.

Updated by ids: chunk ids are never reused and rows never change, so new rows are those with higher ids. What
is kept here is in 8 bits, with bounds of the error; the rows that may be among the nearest are read from the
database, where a deleted one is missing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from smallsight.library.database import Database
from smallsight.library.search.sqlite.exact_nearest import exact_nearest
from smallsight.library.search.sqlite.kept_products import KeptProducts
from smallsight.library.search.sqlite.shown import chunk_texts
from smallsight.library.search.sqlite.vector_block import EMPTY, VectorBlock, joined, rows_of
from smallsight.library.search.sqlite.vector_file import Stamp, read_vector_file, write_vector_file
from smallsight.library.search.text_index import Neighbour

VectorTable: TypeAlias = Literal["chunk", "picture_vector"]  # each with a count of its deletions
Product: TypeAlias = Callable[[np.ndarray], np.ndarray]  # from vectors [B, D] to products with rows [B, N]
CompileProduct: TypeAlias = Callable[[np.ndarray, np.ndarray], Product]  # from codes and scales

_MIN_VECTORS_IN_FILE = 5_000  # fewer load from the database in a few milliseconds
_ROWS_PER_READ = 4_096
_NUM_CHECKED = 16
_MIN_VECTORS_FOR_MEAN, _MAX_VECTORS_FOR_MEAN = 20, 2_048
_MIN_VECTORS_COMPILED = _MIN_VECTORS_EXPECTED = 20_000  # fewer are multiplied in 2 ms
_QUERIES_AT_ONCE = 3  # one more takes half as long again
_MAX_TAIL_SHARE = 0.1  # of rows missing from the file or deleted since, before it is rewritten
_MAX_GATHERED_SHARE = 0.1  # of rows that are multiplied one by one; more are multiplied with all


@dataclass(frozen=True)
class _Snapshot:
    """The state under a stamp: a block that may be mapped, and a tail in memory.

    The arrays over N cover the rows of base, then those of tail.
    """

    stamp: Stamp
    base: VectorBlock
    tail: VectorBlock
    chunk_ids_N: np.ndarray
    content_ids_N: np.ndarray
    errors_N: np.ndarray
    num_deleted_in_base: int  # how many rows of the table had been deleted when the base was written
    base_product: Product | None = None  # the products with base, if they are compiled

    @cached_property
    def mean(self) -> np.ndarray | None:
        """The mean, float32 [D], of at most 2,048 vectors; None if there are too few for one."""
        num_rows = len(self.chunk_ids_N)
        if num_rows < _MIN_VECTORS_FOR_MEAN:
            return None
        rows = np.linspace(0, num_rows - 1, min(num_rows, _MAX_VECTORS_FOR_MEAN)).astype(np.int64)
        mean_D: np.ndarray = self.vectors_at(rows).mean(axis=0)
        return mean_D

    @cached_property
    def _with_mean(self) -> np.ndarray:
        assert self.mean is not None  # noqa: S101 - for the type checker: only asked for with a mean
        products_N: np.ndarray = _similarities(self, self.mean[None])[0]
        return products_N

    def products_with_mean(self, rows_K: np.ndarray) -> np.ndarray:
        """Return float32 [K]; where products are compiled, those of all rows are kept.

        Rows that are read would bring the pages around them back into memory.
        """
        products_K: np.ndarray
        if self.base_product is not None:
            products_K = self._with_mean[rows_K]
        else:
            products_K = self.vectors_at(rows_K) @ self.mean
        return products_K

    @property
    def num_unwritten(self) -> int:
        """The rows that the base lacks or has in vain; some of these deletions may be of other rows."""
        return len(self.tail) + self.stamp.num_deleted - self.num_deleted_in_base

    def vectors_at(self, rows_K: np.ndarray) -> np.ndarray:
        """Return float32 [K, D] for ascending or any rows, from both blocks."""
        return self._of_both(rows_K, VectorBlock.vectors_at)

    def products_at(self, rows_K: np.ndarray, query_D: np.ndarray) -> np.ndarray:
        """Return float32 [K] for ascending or any rows, from both blocks."""
        return self._of_both(rows_K, lambda block, rows: block.times_at(rows, query_D))

    def _of_both(
        self, rows_K: np.ndarray, computed: Callable[[VectorBlock, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        in_base_K = rows_K < len(self.base)
        if in_base_K.all():
            return computed(self.base, rows_K)
        of_tail = computed(self.tail, rows_K[~in_base_K] - len(self.base))
        placed_K = np.empty((len(rows_K), *of_tail.shape[1:]), np.float32)
        placed_K[~in_base_K] = of_tail
        if in_base_K.any():
            placed_K[in_base_K] = computed(self.base, rows_K[in_base_K])
        return placed_K


class VectorIndex:
    """The vectors of a table under one embedder key; may be used from any thread.

    The first use loads them; later uses apply the changes in the database. With 5,000 vectors or more
    they are kept in a mapped file in the database's folder.
    """

    def __init__(
        self,
        database: Database,
        embedder_key: str,
        compile_product: CompileProduct | None = None,
        *,
        table: VectorTable = "chunk",
    ) -> None:
        """With ``compile_product`` large blocks are multiplied by what it returns, in half the time."""
        self._table = table
        self._compile_product = compile_product
        self._database = database
        self._embedder_key = embedder_key
        self._turn = threading.Lock()
        self._snapshot: _Snapshot | None = None
        self._products = KeptProducts()  # a filter may ask for more and more of the nearest

    def nearest(
        self, query_D: np.ndarray, limit: int, *, min_similarity: float = -1.0
    ) -> list[tuple[int, float, str]]:
        """Return (content id, cosine similarity, text of its best chunk), most similar first.

        query_D is of unit length.
        """
        with self._database.cursor() as cursor:
            neighbours = self.neighbours(cursor, query_D, limit, min_similarity=min_similarity)
            texts = chunk_texts(cursor, [one.chunk_id for one in neighbours])
        return [
            (one.content_id, one.similarity, texts[one.chunk_id])
            for one in neighbours
            if one.chunk_id in texts
        ]

    def neighbours(
        self,
        cursor: sqlite3.Cursor,
        query_D: np.ndarray,
        limit: int,
        *,
        min_similarity: float = -1.0,
        among: np.ndarray | None = None,
    ) -> list[Neighbour]:
        """Return what ``nearest`` does, without texts; ``among`` (int64 [K]) limits the contents."""
        snapshot = self._current(cursor)
        rows_K = None if among is None else rows_of(snapshot.content_ids_N, among)
        if rows_K is not None and len(rows_K) <= _MAX_GATHERED_SHARE * len(snapshot.content_ids_N):
            similarities_N = np.zeros(len(snapshot.content_ids_N), np.float32)
            similarities_N[rows_K] = snapshot.products_at(rows_K, query_D)
        else:
            similarities_N = self._products.get(
                snapshot, query_D, lambda: _similarities(snapshot, query_D[None])[0]
            )
        return self._best(cursor, snapshot, query_D, similarities_N, limit, min_similarity, rows_K)

    def expect(self, cursor: sqlite3.Cursor, query_D: np.ndarray) -> None:
        """Begin to multiply many vectors with a query that ``neighbours`` will be asked about."""
        snapshot = self._current(cursor)
        if len(snapshot.content_ids_N) >= _MIN_VECTORS_EXPECTED:
            self._products.begin(snapshot, query_D, lambda: _similarities(snapshot, query_D[None])[0])

    def neighbours_of_each(
        self, cursor: sqlite3.Cursor, queries: Sequence[np.ndarray], limit: int, *, min_similarity: float
    ) -> list[list[Neighbour]]:
        """Return what ``neighbours`` does for each query, float32 [D], in less time."""
        snapshot = self._current(cursor)
        found = []
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            queries_BD = np.stack(queries[start : start + _QUERIES_AT_ONCE])
            for query_D, similarities_N in zip(queries_BD, _similarities(snapshot, queries_BD), strict=True):
                found.append(
                    self._best(cursor, snapshot, query_D, similarities_N, limit, min_similarity, None)
                )
        return found

    def _best(
        self,
        cursor: sqlite3.Cursor,
        snapshot: _Snapshot,
        query_D: np.ndarray,
        similarities_N: np.ndarray,
        limit: int,
        min_similarity: float,
        rows_K: np.ndarray | None,
    ) -> list[Neighbour]:
        def exact(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self._exact_products(cursor, snapshot, rows, query_D)

        content_ids_N = snapshot.content_ids_N
        best, similarities = exact_nearest(
            similarities_N, snapshot.errors_N, content_ids_N, limit, min_similarity, exact, rows_K
        )
        distinct = _distinctness(snapshot, query_D, best, similarities)
        return [
            Neighbour(int(content_ids_N[row]), similarity, int(snapshot.chunk_ids_N[row]), distinctness)
            for row, similarity, distinctness in zip(
                best.tolist(), similarities.tolist(), distinct, strict=True
            )
        ]

    def _exact_products(
        self, cursor: sqlite3.Cursor, snapshot: _Snapshot, rows: np.ndarray, query_D: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are in the database, and the products of their vectors as stored there."""
        row_of = dict(zip(snapshot.chunk_ids_N[rows].tolist(), rows.tolist(), strict=True))
        stored = cursor.execute(
            f"""SELECT id, vector FROM {self._table}
               WHERE id IN (SELECT value FROM json_each(?))""",  # noqa: S608 - the name of a table
            (json.dumps(list(row_of)),),
        ).fetchall()
        vectors_KD = np.frombuffer(b"".join(one[1] for one in stored), "<f2").reshape(-1, len(query_D))
        products_K: np.ndarray = np.vecdot(vectors_KD.astype(np.float32), query_D.astype(np.float32))
        return np.array([row_of[one[0]] for one in stored], np.int64), products_K

    def vectors_of(self, cursor: sqlite3.Cursor, content_id: int) -> list[np.ndarray]:
        """Return the vectors of one content, float32 [D] each; may be empty."""
        rows = cursor.execute(
            f"SELECT vector FROM {self._table} WHERE content_id = ? AND embedder_key = ? ORDER BY id",  # noqa: S608
            (content_id, self._embedder_key),
        )
        return [np.frombuffer(row[0], "<f2").astype(np.float32) for row in rows]

    def _current(self, cursor: sqlite3.Cursor) -> _Snapshot:
        stamp = _stamp(cursor, self._table)
        snapshot = self._snapshot
        if snapshot is not None and snapshot.stamp == stamp:
            return snapshot
        with self._turn:
            snapshot = self._snapshot or self._loaded(cursor, stamp)
            if not snapshot.stamp.is_at_or_after(stamp):  # another thread may have loaded a newer one
                snapshot = self._updated(cursor, snapshot, stamp)
            snapshot = self._compiled(snapshot)
            self._snapshot = snapshot
            return snapshot

    def _compiled(self, snapshot: _Snapshot) -> _Snapshot:
        base = snapshot.base
        is_small = len(base) < _MIN_VECTORS_COMPILED
        if self._compile_product is None or is_small or snapshot.base_product is not None:
            return snapshot
        product = self._compile_product(base.codes_ND, base.scales_N)
        compiled = replace(snapshot, base_product=product)
        if compiled.mean is not None:  # it reads rows of all pages
            compiled.products_with_mean(np.zeros(1, np.int64))
        base.free_pages()  # at the first product the runtime has copied and rearranged them
        return compiled

    def _loaded(self, cursor: sqlite3.Cursor, stamp: Stamp) -> _Snapshot:
        stored = read_vector_file(self._file_path(cursor), self._embedder_key)
        if stored is not None:
            block, at = stored
            if stamp.is_at_or_after(at) and _agrees(cursor, self._table, block):
                return _snapshot(at, block, EMPTY, at.num_deleted)
        return self._written(cursor, stamp, self._rows_after(cursor, 0))

    def _written(self, cursor: sqlite3.Cursor, stamp: Stamp, blocks: Iterable[VectorBlock]) -> _Snapshot:
        """Return a snapshot of all rows, in a file if there are many; the blocks are read once."""
        num_vectors = cursor.execute(
            f"SELECT count(*) FROM {self._table} WHERE embedder_key = ?",  # noqa: S608
            (self._embedder_key,),
        ).fetchone()[0]
        if num_vectors < _MIN_VECTORS_IN_FILE:
            return _snapshot(stamp, joined(list(blocks)), EMPTY, stamp.num_deleted)
        path = self._file_path(cursor)
        if write_vector_file(path, self._embedder_key, stamp, blocks):
            stored = read_vector_file(path, self._embedder_key)
            if stored is not None and stored[1] == stamp:
                return _snapshot(stamp, stored[0], EMPTY, stamp.num_deleted)
        return _snapshot(stamp, joined(list(self._rows_after(cursor, 0))), EMPTY, stamp.num_deleted)

    def _updated(self, cursor: sqlite3.Cursor, old: _Snapshot, stamp: Stamp) -> _Snapshot:
        tail = joined([old.tail, *self._rows_after(cursor, old.stamp.last_chunk_id)])
        fresh = replace(
            _snapshot(stamp, old.base, tail, old.num_deleted_in_base), base_product=old.base_product
        )
        if fresh.num_unwritten <= max(_MIN_VECTORS_IN_FILE, _MAX_TAIL_SHARE * len(fresh.base)):
            return fresh
        return self._written(cursor, stamp, self._live_parts(cursor, fresh))

    def _live_parts(self, cursor: sqlite3.Cursor, snapshot: _Snapshot) -> Iterator[VectorBlock]:
        """Yield the rows that are in the database, which need not be read and rounded again."""
        rows = cursor.execute(
            f"SELECT id FROM {self._table} WHERE embedder_key = ?",  # noqa: S608
            (self._embedder_key,),
        )
        live = np.fromiter((row[0] for row in rows), dtype=np.int64)
        for block in (snapshot.base, snapshot.tail):
            for start in range(0, len(block), _ROWS_PER_READ):
                kept = np.flatnonzero(np.isin(block.chunk_ids_N[start : start + _ROWS_PER_READ], live))
                if len(kept):
                    yield block.slice(start + kept)

    def _rows_after(self, cursor: sqlite3.Cursor, chunk_id: int) -> Iterator[VectorBlock]:
        while True:
            rows = cursor.execute(
                f"""SELECT id, content_id, vector FROM {self._table}
                   WHERE id > ? AND +embedder_key = ? ORDER BY id LIMIT ?""",  # noqa: S608 - + scans by id
                (chunk_id, self._embedder_key, _ROWS_PER_READ),
            ).fetchall()
            if not rows:
                return
            vectors_ND = np.frombuffer(b"".join(row[2] for row in rows), "<f2").reshape(len(rows), -1)
            yield VectorBlock.of_vectors(
                vectors_ND.astype(np.float32),
                np.array([row[0] for row in rows], dtype=np.int64),
                np.array([row[1] for row in rows], dtype=np.int64),
            )
            chunk_id = rows[-1][0]

    def _file_path(self, cursor: sqlite3.Cursor) -> Path:
        database_path = cursor.execute(
            "SELECT file FROM pragma_database_list WHERE name = 'main'"
        ).fetchone()[0]
        key = hashlib.sha256(self._embedder_key.encode()).hexdigest()[:16]
        return Path(database_path).with_name(f"vectors-{key}.int8")


def _stamp(cursor: sqlite3.Cursor, table: VectorTable) -> Stamp:
    row = cursor.execute(
        f"""SELECT (SELECT seq FROM sqlite_sequence WHERE name = '{table}'), num_deleted
            FROM {table}_deletions"""  # noqa: S608 - the name of a table
    ).fetchone()
    return Stamp(row[0] or 0, row[1])


def _similarities(snapshot: _Snapshot, queries_BD: np.ndarray) -> np.ndarray:
    """Return float32 [B, N]."""
    queries_BD = np.ascontiguousarray(queries_BD, dtype=np.float32)
    products = [np.empty((len(queries_BD), 0), np.float32)]
    for block, compiled in ((snapshot.base, snapshot.base_product), (snapshot.tail, None)):
        if len(block) and compiled is not None:
            products.append(compiled(queries_BD))
        elif len(block):
            products.append(np.stack([block.times(query_D) for query_D in queries_BD]))
    return np.concatenate(products, axis=1)


def _distinctness(
    snapshot: _Snapshot, query_D: np.ndarray, rows_K: np.ndarray, similarities_K: np.ndarray
) -> list[float]:
    """Return the similarities of these rows, less those of row and query to the library's mean."""
    mean_D = snapshot.mean
    if mean_D is None or not len(rows_K):
        return [1.0] * len(rows_K)
    usual_K = snapshot.products_with_mean(rows_K) + float(query_D @ mean_D)
    distinct: list[float] = (similarities_K - usual_K).tolist()
    return distinct


def _agrees(cursor: sqlite3.Cursor, table: VectorTable, block: VectorBlock) -> bool:
    """Return whether sample rows of the block match the database; deleted rows are skipped."""
    for row in np.linspace(0, len(block) - 1, _NUM_CHECKED).astype(int).tolist():
        stored = cursor.execute(
            f"SELECT content_id, vector FROM {table} WHERE id = ?",  # noqa: S608
            (int(block.chunk_ids_N[row]),),
        ).fetchone()
        if stored is not None:
            vector_D = np.frombuffer(stored[1], "<f2").astype(np.float32)
            if stored[0] != block.content_ids_N[row] or not block.holds(row, vector_D):
                return False
    return True


def _snapshot(stamp: Stamp, base: VectorBlock, tail: VectorBlock, num_deleted_in_base: int) -> _Snapshot:
    def both(name: str) -> np.ndarray:
        first: np.ndarray = getattr(base, name)
        return np.concatenate([first, getattr(tail, name)]) if len(tail) else first

    ids, contents, errors = both("chunk_ids_N"), both("content_ids_N"), both("errors_N")
    return _Snapshot(stamp, base, tail, ids, contents, errors, num_deleted_in_base)
