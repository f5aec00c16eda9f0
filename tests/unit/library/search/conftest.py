"""Small libraries written straight into the database, and an embedder that needs no model."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.embedding import store_vectors
from smallsight.library.schema import content, content_tag, folder, picture, tag
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.facets import refresh_index
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.search.tokens import normalise, search_form
from smallsight.settings import Settings

TOY_KEY = "toy"
TOY_DIMENSIONS = 64


def toy_embed(texts: Sequence[str]) -> np.ndarray:
    """Return unit vectors that are near for texts that share many trigrams of characters."""
    vectors_ND = np.zeros((len(texts), TOY_DIMENSIONS), dtype=np.float32)
    for row, text in enumerate(texts):
        padded = f" {search_form(text)} "
        for start in range(max(len(padded) - 2, 1)):
            vectors_ND[row, zlib.crc32(padded[start : start + 3].encode()) % TOY_DIMENSIONS] += 1
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return vectors_ND / np.maximum(lengths_N1, 1e-6)


@dataclass
class SmallLibrary:
    """Adds contents with their files; every change is searchable when the call returns."""

    database: Database

    def add(
        self,
        path: str = "",
        *,
        root: str = "/pictures",
        ocr: str | None = None,
        description: str | None = None,
        tags: Iterable[str] = (),
        hashes: tuple[int, int] | None = None,
        chunks: Sequence[str] | None = None,
    ) -> int:
        """Add a content with one file and return its id; chunks default to its texts."""
        with self.database.writing() as connection:
            number = connection.execute(sa.select(sa.func.count()).select_from(content)).scalar_one()
            content_id = connection.execute(
                content.insert().values(
                    sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                    size_bytes=1,
                    width_px=4,
                    height_px=3,
                    ocr_text=ocr,
                    description=description,
                    phash=None if hashes is None else hashes[0],
                    dhash=None if hashes is None else hashes[1],
                )
            ).inserted_primary_key[0]
            for name in tags:
                self._tag(connection, content_id, name)
            texts = [text for text in (ocr, description) if text] if chunks is None else chunks
            pairs = [(content_id, text) for text in texts]
            store_vectors(connection, [content_id], pairs, toy_embed(texts), TOY_KEY)
        self.add_file(content_id, path or f"{content_id}.png", root=root)
        return content_id

    def add_file(self, content_id: int, path: str, *, root: str = "/pictures") -> int:
        """Add a file with these bytes and return the picture's id."""
        with self.database.writing() as connection:
            folder_id = connection.execute(
                folder.select().with_only_columns(folder.c.id).where(folder.c.path == root)
            ).scalar()
            if folder_id is None:
                folder_id = connection.execute(
                    folder.insert().values(path=root, added_at_s=0.0)
                ).inserted_primary_key[0]
            picture_id = connection.execute(
                picture.insert().values(
                    folder_id=folder_id,
                    path=path,
                    size_bytes=1,
                    mtime_ns=1,
                    content_id=content_id,
                    seen_at_s=0.0,
                )
            ).inserted_primary_key[0]
            refresh_index(connection, [content_id])
        return picture_id

    def vanish(self, content_id: int, *, refresh: bool = True) -> None:
        """Mark every file of a content as gone."""
        with self.database.writing() as connection:
            connection.execute(
                picture.update().where(picture.c.content_id == content_id).values(vanished_at_s=1.0)
            )
            if refresh:
                refresh_index(connection, [content_id])

    def _tag(self, connection, content_id: int, name: str) -> None:
        folded = normalise(name)
        tag_id = connection.execute(
            tag.select().with_only_columns(tag.c.id).where(tag.c.folded == folded)
        ).scalar()
        if tag_id is None:
            tag_id = connection.execute(tag.insert().values(name=name, folded=folded)).inserted_primary_key[0]
        connection.execute(content_tag.insert().values(content_id=content_id, tag_id=tag_id))


@pytest.fixture
def small(database: Database) -> SmallLibrary:
    return SmallLibrary(database)


@pytest.fixture
def words_only(database: Database, settings: Settings) -> Searcher:
    return Searcher(SqliteTextIndex(database), settings)


@pytest.fixture
def searcher(database: Database, settings: Settings) -> Searcher:
    return Searcher(SqliteTextIndex(database, TOY_KEY), settings, toy_embed)


@pytest.fixture(scope="session")
def found() -> Callable[..., list[int]]:
    """Search and return the ids of the hits, best first."""

    def found_ids(searcher: Searcher, text: str, **how: object) -> list[int]:
        return [hit.content_id for hit in searcher.search(text, **how).hits]

    return found_ids


@pytest.fixture(scope="session")
def make_small() -> type[SmallLibrary]:
    return SmallLibrary


@pytest.fixture(scope="session")
def make_searcher() -> Callable[[Database, Settings], Searcher]:
    """Make a searcher with the toy embedder."""
    return lambda database, settings: Searcher(SqliteTextIndex(database, TOY_KEY), settings, toy_embed)
