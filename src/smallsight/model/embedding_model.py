"""A picture embedding model: ``smallsight.load_embedding_model``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from smallsight.errors import ModelClosedError, ModelUnavailableError
from smallsight.errors.argument_types import (
    MAX_THREADS,
    as_list,
    as_path,
    as_whole,
    require_instance,
    require_text,
)
from smallsight.inventory.embedding_models import find_picture_model
from smallsight.settings import Limits, Settings, load_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smallsight.engine.openvino.picture_embedder import PictureEmbedder
    from smallsight.families.plain_rgb import OpenedImage
    from smallsight.model.picture_argument import PictureArgument, PictureOpener

__all__ = ["EmbeddingModel", "load_embedding_model"]


class EmbeddingModel:
    """Embeds pictures and texts as vectors of length 1 whose dot products compare any two of them.

    Thread-safe. Close it, or use it in ``with``.
    """

    def __init__(self, name: str, embedder: PictureEmbedder, limits: Limits) -> None:
        self.name = name
        self.embedder = embedder
        self._opening = _LastingOpener(limits)

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
        of an animation the first frame counts. While some are embedded, the next ones are decoded. The
        decoding process stays for the next call. Raises PictureError, and ModelClosedError after ``close``.
        """
        from smallsight.model.embedding_run import EmbeddingRun  # noqa: PLC0415 - imports numpy
        from smallsight.model.picture_argument import refuse_one_picture  # noqa: PLC0415 - the same

        refuse_one_picture(pictures, "pass a list of pictures.")
        return EmbeddingRun(self.embedder, list(pictures), self._opening.submit).vectors()

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [texts, dimensions]; raises ModelClosedError after ``close``."""
        given = [require_text("A text", one) for one in as_list("texts", texts, "str")]
        return self.embedder.embed_texts(given)

    def close(self) -> None:
        """Free the model's memory, and end its decoding process."""
        self.embedder.close()
        self._opening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _LastingOpener:
    """Opens pictures in one thread, whose decoding process stays between calls; thread-safe.

    The process ends with ``close``, with this process, and with the thread, which ends when this is freed.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, "smallsight-pictures")
        self._opener: PictureOpener | None = None

    def submit(self, picture: PictureArgument) -> Future[OpenedImage]:
        """Open a picture after those before it; raises ModelClosedError after ``close``."""
        try:
            return self._thread.submit(self._open, picture)
        except RuntimeError as error:
            raise ModelClosedError(
                "The picture embedding model has been closed.", hint="load it again."
            ) from error

    def close(self) -> None:
        """End the decoding process after the pictures that were submitted."""
        with suppress(RuntimeError):  # closed already
            self._thread.submit(self._end)
        self._thread.shutdown()

    def _open(self, picture: PictureArgument) -> OpenedImage:
        from smallsight.model.picture_argument import PictureOpener  # noqa: PLC0415 - with the first picture

        if self._opener is None:
            self._opener = PictureOpener(self._limits)
        return self._opener.open_pixels(picture)

    def _end(self) -> None:
        if self._opener is not None:
            self._opener.close()


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
    if settings is None:
        settings = load_settings()
    require_instance("settings", settings, Settings, "pass those of load_settings().")
    if precision is not None:
        require_text("precision", precision)
    num_threads = settings.threads if threads is None else as_whole("threads", threads, 0, MAX_THREADS)
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
        threads=num_threads,
        prepared_dir=settings.prepared_dir,
        uses_kernels=settings.kernels,
    )
    return EmbeddingModel(found.name, embedder, settings.limits)


def _name_or_path(wanted: str | os.PathLike[str]) -> str | Path:
    path = as_path("A model's name or folder", wanted)
    return wanted if isinstance(wanted, str) else path
