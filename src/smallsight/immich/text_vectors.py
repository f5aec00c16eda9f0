"""Vectors of texts from the library's text model, which is loaded for the first of them."""

from __future__ import annotations

import asyncio
import json
import threading

from smallsight.catalog.text_model import find_text_model
from smallsight.errors import ModelUnavailableError
from smallsight.reading.text_embedder import TextEmbedder
from smallsight.settings import Settings

MAX_CHARS = 20_000  # the model reads 256 tokens


class TextVectors:
    """May be used from the event loop. Close it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._embedder: TextEmbedder | None = None
        self._turn = threading.Lock()

    async def vector(self, text: str) -> str:
        """Return a text's vector as a JSON array in a string, as Immich stores it.

        Raises ModelUnavailableError if the model is not on this machine.
        """
        return await asyncio.to_thread(self._vector, text[:MAX_CHARS])

    def close(self) -> None:
        """Free the model's memory."""
        with self._turn:
            if self._embedder is not None:
                self._embedder.close()

    def _vector(self, text: str) -> str:
        numbers = self._loaded().embed([text])[0]
        return json.dumps([round(float(number), 7) for number in numbers], separators=(",", ":"))

    def _loaded(self) -> TextEmbedder:
        with self._turn:
            if self._embedder is None:
                model_dir = find_text_model(self._settings)
                if model_dir is None:
                    raise ModelUnavailableError(
                        "The text model is not on this machine.",
                        hint="set embedding.model_dir to a folder with all-MiniLM-L6-v2.",
                    )
                self._embedder = TextEmbedder.load(
                    model_dir,
                    precision=self._settings.embedding.precision,
                    threads=self._settings.threads,
                    prepared_dir=self._settings.prepared_dir,
                )
            return self._embedder
