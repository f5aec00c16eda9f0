"""Vectors for Immich's search by what pictures show: of pictures and texts, from the same model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np

from smallsight.errors import TaskNotServedError
from smallsight.immich.model_names import is_text_model, picture_model_name
from smallsight.immich.text_vectors import MAX_CHARS, TextVectors
from smallsight.immich.wanted_tasks import OTHER_SERVER_HINT, WantedTasks
from smallsight.inventory.embedding_models import PictureModel
from smallsight.model.picture_argument import NamedBytes
from smallsight.services.picture_vectors import PictureVectors


class SearchVectors:
    """Finds the model that a request names, and writes vectors as Immich stores them."""

    def __init__(self, vectors: PictureVectors, texts: TextVectors) -> None:
        self._vectors = vectors
        self._texts = texts

    async def model_of(self, wanted: WantedTasks) -> PictureModel | None:
        """Return the model that is to embed, None if none is or if it is the one of texts.

        Raises TaskNotServedError for one that is not here, so that Immich asks its next server.
        """
        name = wanted.visual_model or wanted.textual_model
        if name is None or (wanted.visual_model is None and is_text_model(name)):
            return None
        found = await asyncio.to_thread(self._vectors.find, picture_model_name(name))
        if found is None:
            usual = await asyncio.to_thread(self._vectors.find, None)
            has = "no picture embedding model" if usual is None else f"only {usual.name} or others like it"
            raise TaskNotServedError(
                f"This server does not have the model {name!r}: it has {has}, and vectors of different "
                "models cannot be compared.",
                hint=f"`smallsight models pull {picture_model_name(name)}` where that is in the catalogue; "
                f"{OTHER_SERVER_HINT}",
            )
        return found

    async def of_picture(self, model: PictureModel, data: bytes) -> dict[str, Any]:
        """Return a picture's vector and its size in pixels; raises subclasses of PictureError."""
        embedded = (await self._vectors.embed(model, [NamedBytes("", data)]))[0]
        width, height = embedded.size_px or (0, 0)
        return {"clip": vector_json(embedded.vector_D), "imageHeight": height, "imageWidth": width}

    async def of_text(self, model: PictureModel | None, text: str) -> str:
        """Return a text's vector, of the library's model of texts where ``model`` is None."""
        if model is None:
            return await self._texts.vector(text)
        return vector_json((await self._vectors.embed(model, [text[:MAX_CHARS]]))[0].vector_D)


def vector_json(vector_D: np.ndarray) -> str:
    """Return a vector as a JSON array in a string."""
    return json.dumps([round(float(number), 7) for number in vector_D], separators=(",", ":"))
