"""Vectors of a content's texts: which texts get one, and how they are stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import sqlalchemy as sa

from smallsight.library.schema import chunk, content, content_tag, picture, tag
from smallsight.library.texts import EmbeddableTexts, chunk_texts


class TextEmbedding(Protocol):
    """Turns texts into vectors; ``smallsight.reading.text_embedder`` has the shipped implementation."""

    @property
    def key(self) -> str:
        """Identify everything that affects the vectors."""
        ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [N, D], rows of unit length, in the order of the texts."""
        ...


def texts_to_embed(connection: sa.Connection, content_ids: Sequence[int]) -> list[tuple[int, str]]:
    """Return (content id, text) for every chunk of these contents."""
    names: dict[int, list[str]] = defaultdict(list)
    for content_id, path in connection.execute(
        sa.select(picture.c.content_id, picture.c.path)
        .where(picture.c.content_id.in_(content_ids), picture.c.vanished_at_s.is_(None))
        .order_by(picture.c.id)
    ):
        names[content_id].append(path)
    tags: dict[int, list[str]] = defaultdict(list)
    for content_id, name in connection.execute(
        sa.select(content_tag.c.content_id, tag.c.name)
        .join(tag)
        .where(content_tag.c.content_id.in_(content_ids))
        .order_by(tag.c.folded)
    ):
        tags[content_id].append(name)
    rows = connection.execute(
        sa.select(content.c.id, content.c.ocr_text, content.c.description)
        .where(content.c.id.in_(content_ids))
        .order_by(content.c.id)
    )
    return [
        (row.id, text)
        for row in rows
        for text in chunk_texts(EmbeddableTexts(row.ocr_text, row.description, tags[row.id], names[row.id]))
    ]


def store_vectors(
    connection: sa.Connection,
    content_ids: Sequence[int],
    texts: Sequence[tuple[int, str]],
    vectors_ND: np.ndarray,
    embedder_key: str,
) -> None:
    """Replace all vectors of these contents; row i of vectors_ND belongs to texts[i]."""
    connection.execute(chunk.delete().where(chunk.c.content_id.in_(content_ids)))
    rows = [
        {"content_id": content_id, "text": text, "embedder_key": embedder_key, "vector": vector_D.tobytes()}
        for (content_id, text), vector_D in zip(texts, vectors_ND.astype("<f2"), strict=True)
    ]
    if rows:
        connection.execute(chunk.insert(), rows)
