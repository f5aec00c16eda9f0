"""Embeds pictures and texts with a dual encoder, as vectors that can be compared with one another."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.engine import LoadRequest
from smallsight.engine.native.picture_tower import NativePictureTower, native_picture_tower
from smallsight.engine.network_key import network_key
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.weight_store import StoredWeights, open_stored
from smallsight.errors import ModelClosedError
from smallsight.families.dual_encoder.model import TEXT, VISION, DualEncoderModel
from smallsight.families.plain_rgb import OpenedImage
from smallsight.machine.cores import usable_cores

_MOST_AT_ONCE = 4  # pictures; the activations of each take memory
_BUILDER_VERSION = 1  # increment when the same weights would give other vectors


class _Encoder:
    """A loaded network, with the weights that it reads, for as many calls at once as it has requests."""

    num_together = 1

    def __init__(self, weights: StoredWeights, requests: Iterable[ov.InferRequest]) -> None:
        self.weights = weights
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for request in requests:
            self._idle.put(request)
        self._is_packed = False  # whether the runtime has copied the weights

    def vectors(self, items: Sequence[Sequence[np.ndarray]]) -> NDArray[np.float32]:
        return np.stack([self._vector(inputs) for inputs in items])

    def _vector(self, inputs: Sequence[np.ndarray]) -> NDArray[np.float32]:
        request = self._idle.get()
        try:
            request.infer(list(inputs))
            vector_D: NDArray[np.float32] = request.get_output_tensor(0).data[0].copy()
        finally:
            self._idle.put(request)
        if not self._is_packed:
            self.weights.release_pages()
            self._is_packed = True
        return vector_D


class _NativeEncoder:
    """A vision encoder that the extension computes."""

    def __init__(self, tower: NativePictureTower, weights: StoredWeights) -> None:
        self.weights = weights
        self.num_together = tower.num_together
        self._tower = tower

    def vectors(self, items: Sequence[Sequence[np.ndarray]]) -> NDArray[np.float32]:
        return self._tower.vectors([patches_1PC[0] for (patches_1PC,) in items])


class PictureEmbedder:
    """Embeds pictures and texts as vectors of length 1; dot products compare any two of them.

    A vector does not depend on what is embedded with it: pictures of one run of a network share its weights
    only. Either network is loaded at its first use. Thread-safe. ``num_at_once`` calls are computed at once,
    each on its part of the threads: a single picture takes longer so, several take less time.
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
        self.num_at_once = min(request.threads or usable_cores(), _MOST_AT_ONCE)
        self._loading = threading.Lock()
        self._encoders: dict[str, _Encoder | _NativeEncoder] = {}
        self._is_closed = False

    @property
    def weights_bytes(self) -> int:
        """The bytes of the stored weights of the networks in memory."""
        return sum(encoder.weights.num_bytes for encoder in self._encoders.values())

    def embed_pictures(self, pictures: Sequence[OpenedImage]) -> NDArray[np.float32]:
        """Return float32 [pictures, dimensions]; images of any mode and size are allowed, and
        pixels uint8 [height, width, 3].

        Raises ModelClosedError after ``close``.
        """
        if len(pictures) == 1 or self.num_at_once == 1:
            return self._stacked(map(self._embed_some, self._groups(pictures)), len(pictures))
        with ThreadPoolExecutor(self.num_at_once, "smallsight-embedding") as threads:
            return self._stacked(threads.map(self._embed_some, self._groups(pictures)), len(pictures))

    def num_together(self, num_pictures: int) -> int:
        """Return how many of several pictures to give to each call of ``embed_prepared``; loads the network.

        Raises ModelClosedError after ``close``.
        """
        most = self._loaded(VISION, self.num_at_once).num_together
        return max(1, min(most, -(-num_pictures // self.num_at_once)))

    def prepared(self, picture: OpenedImage) -> NDArray[np.float32]:
        """Return what ``embed_prepared`` takes of a picture; much smaller than a photograph."""
        return self._model.pictures.patches(picture)

    def embed_prepared(self, pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return float32 [pictures, dimensions]; raises ModelClosedError after ``close``."""
        return self._loaded(VISION, self.num_at_once).vectors([[one] for one in pictures])

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [texts, dimensions]; any string is allowed, long ones are cut.

        Raises ModelClosedError after ``close``.
        """
        return self._stacked((self._text_vectors(text) for text in texts), len(texts))

    @property
    def tokens_per_picture(self) -> int:
        """The patches of a picture that the network reads."""
        return self._model.config.num_patches

    def count_tokens(self, text: str) -> int:
        """Return how many tokens the network reads of a text; padding that was trained with counts."""
        return self._model.tokens.encode(text)[1] + 1

    def close(self) -> None:
        """Free the networks' memory; embedding then raises ModelClosedError."""
        with self._loading:
            self._is_closed = True
            self._encoders.clear()

    def _stacked(self, parts: Iterable[NDArray[np.float32]], number: int) -> NDArray[np.float32]:
        vectors_ND = np.empty((number, self.dimensions), np.float32)
        row = 0
        for part_ND in parts:
            vectors_ND[row : row + len(part_ND)] = part_ND
            row += len(part_ND)
        return vectors_ND

    def _groups(self, pictures: Sequence[OpenedImage]) -> Iterator[Sequence[OpenedImage]]:
        if not pictures:
            return
        together = self.num_together(len(pictures))
        for first in range(0, len(pictures), together):
            yield pictures[first : first + together]

    def _embed_some(self, pictures: Sequence[OpenedImage]) -> NDArray[np.float32]:
        return self.embed_prepared([self.prepared(one) for one in pictures])

    def _text_vectors(self, text: str) -> NDArray[np.float32]:
        return self._loaded(TEXT, 1).vectors([self._model.text_inputs(text, self._embeddings)])

    def _loaded(self, part: str, num_at_once: int) -> _Encoder | _NativeEncoder:
        with self._loading:
            if self._is_closed:
                raise ModelClosedError("The picture embedding model has been closed.", hint="load it again.")
            if part not in self._encoders:
                self._encoders[part] = self._load(part, num_at_once)
            return self._encoders[part]

    def _load(self, part: str, num_at_once: int) -> _Encoder | _NativeEncoder:
        weights = open_stored(self._model.source(part), self._request)
        tower = self._native_tower(weights, num_at_once) if part == VISION else None
        if tower is not None:
            return _NativeEncoder(tower, weights)
        graph = partial(self._model.graph, part)
        return _Encoder(weights, weights.compile_for_calls_at_once(graph, num_at_once))

    def _native_tower(self, weights: StoredWeights, num_at_once: int) -> NativePictureTower | None:
        """Return the tower in the extension, where it was asked for and can be used."""
        request = self._request
        if not request.options.uses_kernels:
            return None
        with releasing_pages(weights):
            return native_picture_tower(
                self._model.vision_tower(weights.stored),
                lambda: self._model.pooling(weights.stored),
                request.threads,
                num_at_once,
                rounds_activations=request.scheme.arithmetic != "f32",
            )


def _vectors_key(model: DualEncoderModel, request: LoadRequest, family: str) -> str:
    """Return the key under which a library stores vectors: those of one key can be compared."""
    facts = f"{model.identity} {request.scheme.identity} {_BUILDER_VERSION}"
    files = network_key(model.weight_files, request.prepared_dir)
    digest = hashlib.sha256(f"{files} {facts}".encode()).hexdigest()[:12]
    return f"{family}-{request.scheme.name}-{digest}"
