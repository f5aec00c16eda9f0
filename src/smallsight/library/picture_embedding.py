"""Vectors of what pictures look like: how a stage gets them, and how they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import sqlalchemy as sa
from PIL import Image

from smallsight.library.schema import picture_vector

# Text, because they are executed for each picture, and composing one takes longer than executing it.
_FORGET = "DELETE FROM picture_vector WHERE content_id = ? AND (time_s IS NULL OR embedder_key != ?)"
_STORE = "INSERT INTO picture_vector (content_id, embedder_key, vector) VALUES (?, ?, ?)"


class PictureEmbedding(Protocol):
    """Turns pictures into vectors; ``engine.openvino.picture_embedder`` has the shipped implementation."""

    @property
    def key(self) -> str:
        """Identify everything that affects the vectors."""
        ...

    @property
    def num_at_once(self) -> int:
        """How many calls from different threads are worth making at once."""
        ...

    def embed_pictures(self, pictures: Sequence[Image.Image | np.ndarray], /) -> np.ndarray:
        """Return float32 [N, D], rows of unit length, of images or RGB pixels uint8 [height, width, 3]."""
        ...


def store_picture_vector(
    connection: sa.Connection, content_id: int, vector_D: np.ndarray, embedder_key: str
) -> None:
    """Replace the vector of a content, of whichever model it is; those of its frames only of other models."""
    connection.exec_driver_sql(_FORGET, (content_id, embedder_key))
    connection.exec_driver_sql(_STORE, (content_id, embedder_key, vector_D.astype("<f2").tobytes()))


def store_frame_vectors(
    connection: sa.Connection,
    content_id: int,
    frames: Sequence[tuple[float, np.ndarray]],
    embedder_key: str,
) -> None:
    """Replace the vectors of a content's frames, (time in seconds, [D]), of whichever model they are."""
    of = picture_vector.c
    connection.execute(picture_vector.delete().where(of.content_id == content_id, of.time_s.is_not(None)))
    rows = [
        {
            "content_id": content_id,
            "embedder_key": embedder_key,
            "vector": vector_D.astype("<f2").tobytes(),
            "time_s": time_s,
        }
        for time_s, vector_D in frames
    ]
    if rows:
        connection.execute(picture_vector.insert(), rows)
