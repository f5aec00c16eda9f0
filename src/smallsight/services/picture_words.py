"""The picture embedding model as a search needs it, with its scale for the library."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SettingsError, StorageError
from smallsight.library.search.everyday import EVERYDAY_KEY, EVERYDAY_TEXTS
from smallsight.library.search.look_scale import FEWEST_PICTURES, SAMPLED_PICTURES, LookScale, measured
from smallsight.library.search.text_index import IndexView
from smallsight.machine.private_files import write_whole
from smallsight.policy.log import get_logger
from smallsight.reading.remembered_vectors import RememberedVectors

if TYPE_CHECKING:
    from smallsight.engine.openvino.picture_embedder import PictureEmbedder

_GROWN, _SHRUNK = 1.25, 0.75  # of the pictures that a scale was measured on, to measure it again
log = get_logger(__name__)


class ChosenPictureWords:
    """A picture embedding model, and how its similarities are judged; thread-safe.

    With ``min_similarity``, a person's, and for a model whose own was measured, there is no scale. The
    vectors of the bank of everyday words are kept in ``prepared_dir``, what was measured with them in the
    file ``scales_path`` of the library.
    """

    def __init__(
        self, embedder: PictureEmbedder, min_similarity: float | None, prepared_dir: Path, scales_path: Path
    ) -> None:
        self.embedder = embedder
        self.key = embedder.key
        self.min_similarity = embedder.min_similarity if min_similarity is None else min_similarity
        self._has_scale = min_similarity is None and not embedder.is_least_measured
        self._prepared_dir = prepared_dir
        self._scales_path = scales_path
        self._remembered = RememberedVectors(embedder.embed_texts)
        self._turn = threading.Lock()
        self._scale: tuple[int, LookScale | None] | None = None  # with the version of the library

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [texts, dimensions]."""
        return self._remembered.embed(texts)

    def scale(self, view: IndexView) -> LookScale | None:
        """Return the scale of the library, measured again once the library has grown by a quarter."""
        if not self._has_scale:
            return None
        with self._turn:
            if self._scale is None or self._scale[0] != view.version:
                self._scale = (
                    view.version,
                    self._current(view, None if self._scale is None else self._scale[1]),
                )
            return self._scale[1]

    def _current(self, view: IndexView, before: LookScale | None) -> LookScale | None:
        num_pictures = view.count_looks(self.key)
        if num_pictures < FEWEST_PICTURES:
            return None
        bank_BD = self._bank() if before is None else before.bank_BD
        known = before or self._read(bank_BD)
        if known is not None and _SHRUNK <= num_pictures / known.num_pictures <= _GROWN:
            return known
        scale = measured(bank_BD, view.looks_sample(self.key, SAMPLED_PICTURES), num_pictures)
        self._write(scale)
        return scale

    def _read(self, bank_BD: NDArray[np.float32]) -> LookScale | None:
        try:
            stored = read_state(self._scales_path).get(self.key)
            if not isinstance(stored, dict) or stored["everyday"] != EVERYDAY_KEY:
                return None
            return LookScale(bank_BD, float(stored["spread"]), max(1, int(stored["pictures"])))
        except (SettingsError, KeyError, TypeError, ValueError):  # it is measured again
            return None

    def _write(self, scale: LookScale) -> None:
        facts = {
            "everyday": EVERYDAY_KEY,
            "pictures": scale.num_pictures,
            "spread": round(scale.spread, 4),
        }
        try:
            with locked_state(self._scales_path):
                write_state(self._scales_path, {**self._others(), self.key: facts})
        except StorageError as error:
            log.info("look_scale_not_kept", why=str(error))

    def _others(self) -> dict[str, object]:
        try:
            return read_state(self._scales_path)
        except SettingsError:
            return {}

    def _bank(self) -> NDArray[np.float32]:
        """Return the vectors of the everyday words, read from a file or made and stored in it."""
        digest = hashlib.sha256(f"{self.key} {EVERYDAY_KEY}".encode()).hexdigest()[:16]
        path = self._prepared_dir / f"everyday-{digest}.npy"
        shape = len(EVERYDAY_TEXTS), self.embedder.dimensions
        try:
            bank_BD: NDArray[np.float32] = np.load(path, allow_pickle=False)
            if bank_BD.shape == shape and bank_BD.dtype == np.float32 and np.isfinite(bank_BD).all():
                return bank_BD
        except (OSError, ValueError, EOFError):
            pass  # it is not there, or damaged
        bank_BD = self.embedder.embed_texts(EVERYDAY_TEXTS)
        _store(path, bank_BD)
        return bank_BD


def _store(path: Path, array: NDArray[np.float32]) -> None:
    """Write an array atomically; a failure is only logged."""
    try:
        write_whole(path, lambda file: np.save(file, array, allow_pickle=False))
    except OSError as error:
        log.info("everyday_words_not_kept", path=str(path), why=str(error))
