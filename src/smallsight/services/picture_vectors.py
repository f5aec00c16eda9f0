"""Embeds pictures and texts for the server's clients with a picture embedding model, outside the event loop.

One model is in memory, from its first use until it has been idle for a while; another name replaces it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from smallsight.catalog.catalog import load_embedding_catalog
from smallsight.errors import ModelUnavailableError, UnknownModelError
from smallsight.families.plain_rgb import OpenedImage, size_of
from smallsight.inventory.embedding_models import PictureModel, find_picture_model
from smallsight.lending.idle_timer import IdleTimer
from smallsight.model.picture_argument import NamedBytes, NamedImage
from smallsight.services.decoding_threads import DecodingThreads
from smallsight.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smallsight.engine.openvino.picture_embedder import PictureEmbedder

Embeddable: TypeAlias = str | NamedBytes
"""A text, or the bytes of a picture."""
_NAME = "picture embedding model"


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedItem:
    """A vector of length 1, float32 [D], the tokens that the network read, and the size of a picture."""

    vector_D: NDArray[np.float32]
    num_tokens: int
    size_px: tuple[int, int] | None


class PictureVectors:
    """The picture embedding models of one server. Belongs to the event loop; close it at the end."""

    def __init__(self, settings: Callable[[], Settings], decoding: DecodingThreads) -> None:
        self._settings = settings
        self._decoding = decoding
        self._thread = ThreadPoolExecutor(1, "smallsight-picture-vectors")
        self._loaded: tuple[PictureModel, PictureEmbedder] | None = None
        self._num_uses = 0
        keep_alive_s = settings().memory.keep_alive_s
        self._keeps = keep_alive_s < 0
        self._idle = IdleTimer(max(0.0, keep_alive_s), lambda _: self._rest())

    def find(self, name: str | None) -> PictureModel | None:
        """Return the model that a client's name stands for; without one, the usual one.

        None for a name of another kind of model, and where its files are not here. A folder can only be
        named in the settings, never by a client. Reads folders, so call it in a thread.
        """
        settings = self._settings()
        usual = _found(settings, settings.picture_embedding.model)
        if not name or (usual is not None and usual.name.casefold() == name.casefold()):
            return usual
        entry = load_embedding_catalog().get(name)
        return None if entry is None else _found(settings, entry.name)

    async def embed(self, model: PictureModel, items: Sequence[Embeddable]) -> list[EmbeddedItem]:
        """Embed texts and pictures in their order; the next picture is decoded while one is embedded.

        Raises subclasses of PictureError and of ModelError.
        """
        loop = asyncio.get_running_loop()
        self._use(1)
        decoded: dict[int, asyncio.Task[NamedImage]] = {}
        try:
            embedded = []
            for index, item in enumerate(items):
                for ahead in range(index, min(index + 2, len(items))):
                    if ahead not in decoded and isinstance(following := items[ahead], NamedBytes):
                        decoded[ahead] = asyncio.ensure_future(self._decoding.open(following))
                shown = item if isinstance(item, str) else (await decoded[index]).image
                decoded.pop(index, None)
                embedded.append(await loop.run_in_executor(self._thread, self._embed, model, shown))
            return embedded
        finally:
            for one in decoded.values():
                one.cancel()
            await asyncio.gather(*decoded.values(), return_exceptions=True)
            self._use(-1)

    def close(self) -> None:
        """Stop the thread and free the model's memory."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._idle.close()
        self._unload()

    def _use(self, number: int) -> None:
        """Count a use that begins or ends; the model is unloaded a while after the last."""
        self._num_uses += number
        if self._num_uses:
            self._idle.clear(_NAME)
        elif not self._keeps:
            self._idle.set(_NAME)

    def _embed(self, model: PictureModel, item: str | OpenedImage) -> EmbeddedItem:
        embedder = self._load(model)
        if isinstance(item, str):
            return EmbeddedItem(embedder.embed_texts([item])[0], embedder.count_tokens(item), None)
        return EmbeddedItem(embedder.embed_pictures([item])[0], embedder.tokens_per_picture, size_of(item))

    def _load(self, model: PictureModel) -> PictureEmbedder:
        if self._loaded is not None and self._loaded[0] == model:
            return self._loaded[1]
        self._unload()
        from smallsight.engine.embedding import load_picture_embedder  # noqa: PLC0415 - imports OpenVINO

        settings = self._settings()
        embedder = load_picture_embedder(
            model.directory,
            settings.picture_embedding.precision,
            threads=settings.threads,
            prepared_dir=settings.prepared_dir,
            uses_kernels=settings.kernels,
        )
        self._loaded = model, embedder
        return embedder

    def _rest(self) -> None:
        """Unload the model, in the thread that uses it."""
        with suppress(RuntimeError):  # closed meanwhile
            self._thread.submit(self._unload)

    def _unload(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded[1].close()


def _found(settings: Settings, name: str | None) -> PictureModel | None:
    try:
        return find_picture_model(settings, name)
    except (UnknownModelError, ModelUnavailableError):
        return None
