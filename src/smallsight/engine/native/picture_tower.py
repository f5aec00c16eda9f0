"""Computes a SigLIP's tower and pooling head, or a CLIP's tower, for several pictures with the extension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.native.pooling_head import bind_pooling_head, pooling_obstacle
from smallsight.engine.native.tile_encoder import AVX2_PATH, bind_encoder, tower_obstacle
from smallsight.families.siglip_tower import SigLIPPooling, SigLIPSizes, SigLIPTower
from smallsight.machine.cores import usable_cores
from smallsight.policy.log import get_logger
from smallsight.quant.bf16 import BF16Matrix
from smallsight.quant.forms import Stored

log = get_logger(__name__)

_ROWS_TOGETHER = 256  # of one run: so few pictures share each part of the weights that is read
_PANEL = 32  # an image's rows are padded to a multiple of it
_SHORTEST_LENGTH = 1e-12


class NativePictureTower:
    """One copy of the weights, for as many calls at once as ``at_once`` says. Thread-safe.

    A picture is computed independently of others, and in the same way on any number of threads.
    ``num_together`` pictures of a call are computed in one run.
    """

    def __init__(self, tower: SigLIPTower, pooling: SigLIPPooling | None, threads: int, at_once: int) -> None:
        """``threads`` are shared by all calls; 0 means one per physical core. A CLIP has no ``pooling``."""
        each = max(1, (threads or usable_cores()) // at_once)
        self.num_together = 1 if pooling is not None else pictures_together(tower.sizes)
        first = bind_encoder(tower, each, number_of=product_number, most_images=self.num_together)
        self._head = None if pooling is None else bind_pooling_head(pooling)
        rows, self._dimensions = first.output_shape
        self.path: str = first.path
        self.weight_bytes: int = first.weight_bytes + (0 if self._head is None else self._head.weight_bytes)
        self._idle: SimpleQueue[tuple[Any, NDArray[np.float32]]] = SimpleQueue()
        for encoder in (first, *(first.twin(each) for _ in range(at_once - 1))):
            self._idle.put((encoder, np.empty((self.num_together * rows, self._dimensions), np.float32)))

    def vectors(self, pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return float32 [pictures, dimensions] of length 1; a picture is its patches, float32 [P, C]."""
        vectors_ND = np.empty((len(pictures), self._dimensions), np.float32)
        idle = encoder, outputs_RD = self._idle.get()
        try:
            for first in range(0, len(pictures), self.num_together):
                some = list(pictures[first : first + self.num_together])
                vectors_SD = vectors_ND[first : first + len(some)]
                if self._head is not None:
                    encoder.run(some[0], outputs_RD)
                    self._head.run(outputs_RD, vectors_SD[0])
                else:
                    encoder.run_together(some, outputs_RD[: len(some)])
                    np.divide(outputs_RD[: len(some)], _lengths(outputs_RD[: len(some)]), vectors_SD)
        finally:
            self._idle.put(idle)
        return vectors_ND


def native_picture_tower(
    tower: SigLIPTower,
    read_pooling: Callable[[], SigLIPPooling | None],
    threads: int,
    at_once: int,
    *,
    rounds_activations: bool,
) -> NativePictureTower | None:
    """Return a tower, with its head, in the extension, or None with a line in the log about why not."""
    reason = tower_obstacle(tower, rounds_activations=rounds_activations) or pooling_obstacle()
    if reason:
        log.info("picture_kernels_not_used", reason=reason, action="embedding pictures with OpenVINO")
        return None
    native = NativePictureTower(tower, read_pooling(), threads, at_once)
    log.info("picture_kernels_used", path=native.path, weights_bytes=native.weight_bytes)
    return native


def pictures_together(sizes: SigLIPSizes) -> int:
    """Return how many pictures are worth computing in one run: those of few patches."""
    return max(1, _ROWS_TOGETHER // (-(-sizes.tokens // _PANEL) * _PANEL))


def product_number(stored: Stored, path: str) -> Literal["int8", "int7", "bf16"]:
    """Return in which numbers a matrix is multiplied: integers, unless it is stored in floating point.

    Weights in groups are rounded a second time, to one scale for 768 inputs, or activations have 7 bits. A
    vector hardly shows either: decisions 55 and 57 have the numbers.
    """
    if isinstance(stored, BF16Matrix | np.ndarray):
        return "bf16"
    return "int7" if path == AVX2_PATH else "int8"


def _lengths(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return [vectors, 1], each computed from one vector alone."""
    lengths = [max(float(np.linalg.norm(vector_D)), _SHORTEST_LENGTH) for vector_D in vectors_ND]
    return np.array(lengths, np.float32)[:, None]
