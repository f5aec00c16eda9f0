"""Computes a SigLIP's tower and pooling head with the extension, for several pictures at once."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.native.pooling_head import bind_pooling_head, pooling_obstacle
from smallsight.engine.native.tile_encoder import AVX2_PATH, bind_encoder, tower_obstacle
from smallsight.families.siglip_tower import SigLIPPooling, SigLIPTower
from smallsight.machine.cores import usable_cores
from smallsight.policy.log import get_logger
from smallsight.quant.bf16 import BF16Matrix
from smallsight.quant.forms import Stored

log = get_logger(__name__)


class NativePictureTower:
    """One copy of the weights, for as many calls at once as ``at_once`` says. Thread-safe.

    A picture is computed independently of others, and in the same way on any number of threads.
    """

    def __init__(self, tower: SigLIPTower, pooling: SigLIPPooling, threads: int, at_once: int) -> None:
        """``threads`` are shared by all calls; 0 means one per physical core."""
        each = max(1, (threads or usable_cores()) // at_once)
        first = bind_encoder(tower, each, number_of=product_number)
        self._head = bind_pooling_head(pooling)
        self._dimensions = tower.sizes.hidden
        self.path: str = first.path
        self.weight_bytes: int = first.weight_bytes + self._head.weight_bytes
        self._idle: SimpleQueue[tuple[Any, NDArray[np.float32]]] = SimpleQueue()
        for encoder in (first, *(first.twin(each) for _ in range(at_once - 1))):
            self._idle.put((encoder, np.empty(encoder.output_shape, np.float32)))

    def vector(self, patches_PC: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the vector of a picture's patches, float32 [hidden] of length 1."""
        vector_D = np.empty(self._dimensions, np.float32)
        idle = encoder, hidden_PD = self._idle.get()
        try:
            encoder.run(patches_PC, hidden_PD)
            self._head.run(hidden_PD, vector_D)
        finally:
            self._idle.put(idle)
        return vector_D


def native_picture_tower(
    tower: SigLIPTower | None,
    read_pooling: Callable[[], SigLIPPooling],
    threads: int,
    at_once: int,
    *,
    rounds_activations: bool,
) -> NativePictureTower | None:
    """Return tower and head in the extension, or None with a line in the log about why not."""
    reason = tower_obstacle(tower, rounds_activations=rounds_activations) or pooling_obstacle()
    if tower is None or reason:
        log.info("picture_kernels_not_used", reason=reason, action="embedding pictures with OpenVINO")
        return None
    native = NativePictureTower(tower, read_pooling(), threads, at_once)
    log.info("picture_kernels_used", path=native.path, weights_bytes=native.weight_bytes)
    return native


def product_number(stored: Stored, path: str) -> Literal["int8", "int7", "bf16"]:
    """Return in which numbers a matrix is multiplied: integers, unless it is stored in floating point.

    Weights in groups are rounded a second time, to one scale for 768 inputs, or activations have 7 bits. A
    vector hardly shows either: decisions 55 and 57 have the numbers.
    """
    if isinstance(stored, BF16Matrix | np.ndarray):
        return "bf16"
    return "int7" if path == AVX2_PATH else "int8"
