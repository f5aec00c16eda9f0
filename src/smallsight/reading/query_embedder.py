"""Embeds the text of a search, for a process that embeds few: loading the runtime would take longer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.file_hashes import file_sha256
from smallsight.errors import BrokenCheckpointError
from smallsight.families.minilm.config import MiniLMConfig, read_config
from smallsight.families.minilm.forward import text_vector
from smallsight.families.minilm.identity import vectors_identity, vectors_key
from smallsight.families.minilm.tokenizer import MiniLMTokenizer
from smallsight.families.minilm.weights import MappedMiniLMWeights, map_weights

_WEIGHTS = "model.safetensors"


class QueryEmbedder:
    """Embeds texts as ``TextEmbedder`` does, in numpy and float32; may be used from any thread.

    ``key`` is that of a ``TextEmbedder`` of the given precision, whose vectors its own can be compared with.
    """

    def __init__(
        self, config: MiniLMConfig, tokenizer: MiniLMTokenizer, weights: MappedMiniLMWeights, key: str
    ) -> None:
        self.key = key
        self._config = config
        self._tokenizer = tokenizer
        self._weights = weights

    @classmethod
    def load(cls, model_dir: Path, *, precision: str, prepared_dir: Path) -> QueryEmbedder:
        """Load a folder in Hugging Face layout; raises BrokenCheckpointError for invalid files."""
        config = read_config(model_dir)
        weights_path = model_dir / _WEIGHTS
        try:
            digest = file_sha256(weights_path, prepared_dir)
        except OSError as error:
            raise BrokenCheckpointError(f"{weights_path} cannot be read: {error.strerror}.") from error
        key = vectors_key(vectors_identity(digest, precision, config), precision)
        return cls(config, MiniLMTokenizer.load(model_dir, config), map_weights(weights_path, config), key)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector per text, float32 [texts, dimensions]; texts are cut at 256 tokens."""
        vectors = np.empty((len(texts), self._config.hidden_size), np.float32)
        for row, token_ids in enumerate(self._tokenizer.encode(texts)):
            vectors[row] = text_vector(self._config, self._weights, token_ids)
        return vectors
