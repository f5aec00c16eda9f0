"""Embeds pictures and texts with a dual encoder, as vectors that can be compared with one another."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from PIL import Image

from smallsight.engine.engine import LoadRequest
from smallsight.engine.network_key import network_key
from smallsight.engine.openvino.weight_store import StoredWeights, open_stored
from smallsight.errors import ModelClosedError
from smallsight.families.dual_encoder.model import TEXT, VISION, DualEncoderModel
from smallsight.graph.compiled import CompiledNetwork

Item = TypeVar("Item")
_BUILDER_VERSION = 1  # increment when the same weights would give other vectors


@dataclass(eq=False)
class _Encoder:
    """One loaded network, with the weights that it reads; ``is_packed`` once the runtime has copied them."""

    weights: StoredWeights
    network: CompiledNetwork
    request: ov.InferRequest
    is_packed: bool = False

    def vector(self, inputs: Sequence[np.ndarray]) -> NDArray[np.float32]:
        self.request.infer(list(inputs))
        vector_D: NDArray[np.float32] = self.request.get_output_tensor(0).data[0].copy()
        if not self.is_packed:
            self.weights.release_pages()
            self.is_packed = True
        return vector_D


class PictureEmbedder:
    """Embeds pictures and texts as vectors of length 1; dot products compare any two of them.

    A vector does not depend on what is embedded with it: each picture, and each text, is one call of a
    network. Either network is loaded at its first use. Thread-safe: the calls of a network take turns.
    """

    def __init__(self, model: DualEncoderModel, request: LoadRequest, family: str) -> None:
        self.family = family
        self.dimensions = model.config.dimensions
        self.contrast = model.contrast()
        self.min_similarity = model.least_similarity()
        self.is_least_measured = model.is_least_measured
        self.key = _vectors_key(model, request, family)
        self._model = model
        self._request = request
        self._embeddings = model.embeddings()
        self._turns = {VISION: threading.Lock(), TEXT: threading.Lock()}
        self._encoders: dict[str, _Encoder] = {}
        self._is_closed = False

    @property
    def weights_bytes(self) -> int:
        """The bytes of the stored weights of the networks in memory."""
        return sum(encoder.weights.num_bytes for encoder in self._encoders.values())

    def embed_pictures(self, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Return float32 [pictures, dimensions]; images of any mode and size are allowed.

        Raises ModelClosedError after ``close``.
        """
        return self._embed(VISION, pictures, lambda picture: [self._model.pictures.patches(picture)])

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [texts, dimensions]; any string is allowed, long ones are cut.

        Raises ModelClosedError after ``close``.
        """
        return self._embed(TEXT, texts, lambda text: self._model.text_inputs(text, self._embeddings))

    @property
    def tokens_per_picture(self) -> int:
        """The patches of a picture that the network reads."""
        return self._model.config.num_patches

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the network reads of a text; padding that was trained with counts."""
        return self._model.tokens.encode(text)[1] + 1

    def close(self) -> None:
        """Free the networks' memory; embedding then raises ModelClosedError."""
        with self._turns[VISION], self._turns[TEXT]:
            self._is_closed = True
            self._encoders.clear()

    def _embed(
        self, part: str, items: Sequence[Item], inputs_of: Callable[[Item], Sequence[np.ndarray]]
    ) -> NDArray[np.float32]:
        vectors_ND = np.empty((len(items), self.dimensions), np.float32)
        for row, item in enumerate(items):
            inputs = inputs_of(item)
            with self._turns[part]:
                vectors_ND[row] = self._loaded(part).vector(inputs)
        return vectors_ND

    def _loaded(self, part: str) -> _Encoder:
        if self._is_closed:
            raise ModelClosedError("The picture embedding model has been closed.", hint="load it again.")
        if part not in self._encoders:
            weights = open_stored(self._model.source(part), self._request)
            network = weights.compile(lambda stored: self._model.graph(part, stored))
            self._encoders[part] = _Encoder(weights, network, network.model.create_infer_request())
        return self._encoders[part]


def _vectors_key(model: DualEncoderModel, request: LoadRequest, family: str) -> str:
    """Return the key under which a library stores vectors: those of one key can be compared."""
    facts = f"{model.identity} {request.scheme.identity} {_BUILDER_VERSION}"
    files = network_key(model.weight_files, request.prepared_dir)
    digest = hashlib.sha256(f"{files} {facts}".encode()).hexdigest()[:12]
    return f"{family}-{request.scheme.name}-{digest}"
