"""Encodes tiles with the extension: a SigLIP tower and its connector, over stored weights."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from queue import SimpleQueue
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.native.native_runner import is_slower
from smallsight.families.messages import Tile
from smallsight.families.siglip_tower import SigLIPSizes, SigLIPTower
from smallsight.graph.known_speeds import SpeedComparison
from smallsight.machine.cores import usable_cores
from smallsight.machine.extension import NAME, find_extension
from smallsight.policy.log import get_logger
from smallsight.quant.forms import Stored, dense
from smallsight.quant.grouped import Code, GroupedMatrix
from smallsight.quant.int8_rows import Int8Rows

log = get_logger(__name__)

ProductNumber: TypeAlias = Literal["int8", "int8-groups", "bf16"]
_LANES = 16  # sizes must be multiples of it


class NativeTileEncoder:
    """Implements ``decoding.runner.TileEncoder``. Used by one thread at a time.

    A tile is computed independently of other tiles, and in the same way on any number of threads.
    """

    def __init__(
        self,
        encoder: Any,  # noqa: ANN401 - the extension's
        to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        cache: FeatureCache,
        *,
        twins: Sequence[Any] = (),
        tiles_at_once: int = 1,
    ) -> None:
        """``twins`` are encoders with the same weights, which encode other tiles meanwhile."""
        self.tiles_at_once = tiles_at_once
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for one in (encoder, *twins):
            self._idle.put(one)
        self._threads = ThreadPoolExecutor(len(twins), "smallsight-tiles") if twins else None
        self._to_patches = to_patches
        self._cache = cache

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return a tile's cached image tokens, or None."""
        return self._cache.find(tile.digest)

    def encode(self, tiles: Sequence[Tile]) -> list[NDArray[np.float32]]:
        """Return the image tokens of each tile, float32 [tokens, text hidden]."""
        left = deque(enumerate(tiles))
        found: dict[int, NDArray[np.float32]] = {}
        waited: list[Future[None]] = []
        if self._threads is not None:
            others = min(len(tiles), self._idle.qsize()) - 1
            waited = [self._threads.submit(self._encode_left, left, found) for _ in range(others)]
        try:
            self._encode_left(left, found)
        finally:
            wait(waited)
        for one in waited:
            one.result()
        for index, tile in enumerate(tiles):
            self._cache.remember(tile.digest, found[index])
        return [found[index] for index in range(len(tiles))]

    def _encode_left(self, left: deque[tuple[int, Tile]], found: dict[int, NDArray[np.float32]]) -> None:
        """Encode one tile after the other until there is none left; several threads may do so."""
        encoder = self._idle.get()
        try:
            while True:
                try:
                    index, tile = left.popleft()
                except IndexError:
                    return
                features_TD = np.empty(encoder.output_shape, np.float32)
                encoder.run(self._to_patches(tile.pixels_HWC)[0], features_TD)
                found[index] = features_TD
        finally:
            self._idle.put(encoder)


def encoder_obstacle() -> str:
    """Return why the extension encodes no tiles on this machine; empty if it does."""
    extension = find_extension()
    if extension.module is None:
        return extension.reason
    return str(extension.module.encoder_obstacle())


def tower_obstacle(tower: SigLIPTower | None, *, rounds_activations: bool) -> str:
    """Return why the extension does not compute a tower, which is None for other families' towers."""
    if obstacle := encoder_obstacle():
        return obstacle
    if tower is None:
        return "the family has another tower"
    if not _fits(tower.sizes):
        return f"the tower's sizes are not multiples of {_LANES}"
    return "" if rounds_activations else "the scheme computes in f32"


def native_tile_encoder(
    tower: SigLIPTower | None,
    to_patches: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    cache: FeatureCache,
    threads: int,
    *,
    rounds_activations: bool = True,
    compare: Callable[[], SpeedComparison | None] | None = None,
    tiles_at_once: int = 1,
) -> NativeTileEncoder | None:
    """Return an encoder that uses the extension, or None with a line in the log about why not.

    The extension computes in bfloat16 at best; without ``rounds_activations`` it is not used. ``compare`` is
    called where it can compute the tower. With several ``tiles_at_once`` each is computed by one thread.
    """
    reason = tower_obstacle(tower, rounds_activations=rounds_activations)
    if not reason and is_slower(compare):
        reason = "OpenVINO is faster on this machine"
    if tower is None or reason:
        log.info("tile_kernels_not_used", reason=reason, action="encoding tiles with OpenVINO")
        return None
    threads = threads or usable_cores()
    encoder = bind_encoder(tower, threads if tiles_at_once == 1 else 1)
    twins = [encoder.twin(1) for _ in range(min(tiles_at_once, threads) - 1)]
    log.info("tile_kernels_used", path=encoder.path, weights_bytes=encoder.weight_bytes)
    return NativeTileEncoder(encoder, to_patches, cache, twins=twins, tiles_at_once=tiles_at_once)


def bind_encoder(
    tower: SigLIPTower,
    threads: int,
    path: str = "auto",
    number_of: Callable[[Stored], ProductNumber] | None = None,
) -> Any:  # noqa: ANN401 - the extension's
    """Pack the weights into the extension's encoder; ``number_of`` overrides how a matrix is multiplied.

    Raises ModuleNotFoundError, and ValueError for sizes or a path that the extension does not support.
    """
    sizes = tower.sizes
    encoder = importlib.import_module(NAME).Encoder(
        sizes.layers,
        sizes.hidden,
        sizes.heads,
        sizes.ffn,
        sizes.patches,
        sizes.patch_width,
        sizes.norm_epsilon,
        threads,
        path,
    )
    number_of = number_of or partial(product_number, takes_groups=encoder.path != "amx")
    stored = tower.stored
    encoder.set_embedding(_floats(stored["vision.patches.weight"]), _floats(stored["vision.positions"]))
    for layer in range(sizes.layers):
        encoder.set_norms(layer, *[_floats(tower.layer(layer, name)) for name in tower.NORMS])
        for index, name in enumerate(tower.MATRICES):
            weight, bias = tower.layer(layer, f"{name}.weight"), tower.layer(layer, f"{name}.bias")
            encoder.set_matrix(layer, index, _floats(weight), _floats(bias), number_of(weight))
    encoder.set_final_norm(_floats(stored["vision.norm.weight"]), _floats(stored["vision.norm.bias"]))
    if sizes.pixel_shuffle:
        encoder.set_connector(_floats(stored["connector.weight"]), sizes.pixel_shuffle)
    return encoder


def product_number(stored: Stored, *, takes_groups: bool = False) -> ProductNumber:
    """Return in which numbers a matrix is multiplied.

    Integer products round activations, and AMX tiles need one scale for 768 inputs. Weights with one scale a
    row keep their values, and 4 bits lose so much already that no more is seen. Weights of 8 bits in groups
    would lose more than in OpenVINO: decision 42 has the numbers. A path that ``takes_groups`` keeps them.
    """
    if isinstance(stored, Int8Rows):
        return "int8"
    if takes_groups and isinstance(stored, GroupedMatrix):
        return "int8-groups"
    return "int8" if isinstance(stored, GroupedMatrix) and stored.code is not Code.INT8 else "bf16"


def _fits(sizes: SigLIPSizes) -> bool:
    return all(size % _LANES == 0 for size in (sizes.hidden, sizes.ffn, sizes.patch_width))


def _floats(stored: Stored) -> NDArray[np.float32]:
    return np.ascontiguousarray(dense(stored), np.float32)
