"""Knows the key of the text model's vectors at once, and loads the model for the first text only.

An index run with nothing new does without the runtime, and one that reads text has the memory until then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.file_hashes import file_sha256
from smallsight.errors import BrokenCheckpointError
from smallsight.families.minilm.config import read_config
from smallsight.families.minilm.identity import vectors_identity, vectors_key

__all__ = ["EmbedderOnDemand"]


class _EmbedsTexts(Protocol):
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class EmbedderOnDemand:
    """Embeds texts as the embedder that ``load`` returns; belongs to one thread."""

    def __init__(self, key: str, load: Callable[[], _EmbedsTexts]) -> None:
        self.key = key
        self._load = load
        self._embedder: _EmbedsTexts | None = None

    @classmethod
    def of(
        cls, model_dir: Path, *, precision: str, prepared_dir: Path | None, load: Callable[[], _EmbedsTexts]
    ) -> EmbedderOnDemand:
        """Return the embedder of a folder in Hugging Face layout; raises BrokenCheckpointError."""
        config, weights_path = read_config(model_dir), model_dir / "model.safetensors"
        try:
            digest = file_sha256(weights_path, prepared_dir)
        except OSError as error:
            raise BrokenCheckpointError(f"{weights_path} cannot be read: {error.strerror}.") from error
        return cls(vectors_key(vectors_identity(digest, precision, config), precision), load)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector per text, float32 [texts, dimensions]; raises ModelError if it cannot load."""
        if self._embedder is None:
            self._embedder = self._load()
        return self._embedder.embed(texts)
