"""A picture embedding model: ``smallsight.load_embedding_model``."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from smallsight.errors import ModelUnavailableError
from smallsight.inventory.embedding_models import find_picture_model
from smallsight.settings import Limits, Settings, load_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smallsight.engine.openvino.picture_embedder import PictureEmbedder
    from smallsight.model.picture_argument import PictureArgument

__all__ = ["EmbeddingModel", "load_embedding_model"]

_NUM_AHEAD = 2  # pictures decoded while others are embedded


class EmbeddingModel:
    """Embeds pictures and texts as vectors of length 1 whose dot products compare any two of them.

    Thread-safe. Close it, or use it in ``with``.
    """

    def __init__(self, name: str, embedder: PictureEmbedder, limits: Limits) -> None:
        self.name = name
        self.embedder = embedder
        self._limits = limits

    @property
    def dimensions(self) -> int:
        """The numbers of a vector."""
        return self.embedder.dimensions

    @property
    def key(self) -> str:
        """Identifies everything that affects vectors: those of one key can be compared."""
        return self.embedder.key

    def embed_pictures(self, pictures: Sequence[PictureArgument]) -> NDArray[np.float32]:
        """Return float32 [pictures, dimensions].

        A picture is a path, bytes, a PIL image or a uint8 array. Files are decoded in the sandbox, upright;
        of an animation the first frame counts. While some are embedded, the next ones are decoded. Raises
        PictureError, and ModelClosedError after ``close``.
        """
        import numpy as np  # noqa: PLC0415 - imported with the first embedding

        from smallsight.model.picture_argument import PictureOpener  # noqa: PLC0415

        at_once = self.embedder.num_at_once
        vectors_ND = np.empty((len(pictures), self.dimensions), np.float32)
        # The threads end before the opener is closed: its decoding process ends with it.
        with (
            PictureOpener(self._limits) as opener,
            ThreadPoolExecutor(1, "smallsight-pictures") as decoding,
            ThreadPoolExecutor(at_once, "smallsight-embedding") as embedding,
        ):

            def begin(picture: PictureArgument) -> Future[NDArray[np.float32]]:
                opened = decoding.submit(opener.open, picture)
                return embedding.submit(lambda: self.embedder.embed_pictures([opened.result()])[0])

            left = iter(pictures)
            begun = deque(begin(one) for one in islice(left, at_once + _NUM_AHEAD))
            try:
                for row in range(len(pictures)):
                    vectors_ND[row] = begun.popleft().result()
                    begun.extend(begin(one) for one in islice(left, 1))
            finally:
                for threads in (decoding, embedding):  # what is ahead is not wanted after an error
                    threads.shutdown(wait=False, cancel_futures=True)
        return vectors_ND

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [texts, dimensions]; raises ModelClosedError after ``close``."""
        return self.embedder.embed_texts(texts)

    def close(self) -> None:
        """Free the model's memory."""
        self.embedder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_embedding_model(
    name_or_directory: str | os.PathLike[str] | None = None,
    *,
    precision: str | None = None,
    threads: int | None = None,
    settings: Settings | None = None,
) -> EmbeddingModel:
    """Load a picture embedding model: a name of the catalogue, or a folder with a SigLIP or CLIP.

    Without a name, the one in the settings, else the first of the catalogue whose files are here. Precision
    is "int8", "bf16" or "fp32"; None and ``threads=None`` use the settings. Raises UnknownModelError,
    ModelUnavailableError, ModelNotRunnableError, BrokenCheckpointError and SettingsError.
    """
    settings = load_settings() if settings is None else settings
    wanted = settings.picture_embedding.model if name_or_directory is None else name_or_directory
    found = find_picture_model(settings, None if wanted is None else _name_or_path(wanted))
    if found is None:
        raise ModelUnavailableError(
            "There is no picture embedding model on this machine.",
            hint="`smallsight models pull SigLIP-base-patch16-224` fetches one.",
        )
    # Importing OpenVINO takes half a second.
    from smallsight.engine.embedding import load_picture_embedder  # noqa: PLC0415

    embedder = load_picture_embedder(
        found.directory,
        precision or settings.picture_embedding.precision,
        threads=settings.threads if threads is None else threads,
        prepared_dir=settings.prepared_dir,
    )
    return EmbeddingModel(found.name, embedder, settings.limits)


def _name_or_path(wanted: str | os.PathLike[str]) -> str | Path:
    return wanted if isinstance(wanted, str) else Path(wanted)
