"""Encodes tiles with the extension: a SigLIP's or CLIP's tower and its connector, over stored weights."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
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

ProductNumber: TypeAlias = Literal["int8", "int8-groups", "int7", "int16", "bf16"]
AVX2_PATH = "avx2"  # multiplies activations of 7 and 16 bits
AMX_PATH = "amx"
# Rounded from the checkpoint, int8 with one scale for up to 768 inputs. The widening matrix would lose most.
_AMX_NUMBERS: Mapping[str, ProductNumber] = {
    "attention": "int8",
    "output": "int8",
    "ffn_up": "bf16",
    "ffn_down": "int8",
}
_Matrix: TypeAlias = tuple[int, str, NDArray[np.float32], ProductNumber]  # layer, name, weight
_LANES = 16  # sizes must be multiples of it
_MOST_HEAD = 384  # dimensions of a head


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
        return f"the tower's sizes are not multiples of {_LANES}, or its heads exceed {_MOST_HEAD}"
    if not rounds_activations:
        return "the scheme computes in f32"
    return bf16_obstacle() if product_number(tower.layer(0, "attention.weight"), AVX2_PATH) == "bf16" else ""


def bf16_obstacle() -> str:
    """Return why weights in floating point are left to OpenVINO; empty where they are not."""
    module = find_extension().module
    is_avx2 = module is not None and module.encoder_path_name("auto") == AVX2_PATH
    return "AVX2 multiplies no bfloat16 faster than OpenVINO does" if is_avx2 else ""


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
    number_of: Callable[[Stored, str], ProductNumber] | None = None,
    most_images: int = 1,
) -> Any:  # noqa: ANN401 - the extension's
    """Pack the weights into the extension's encoder, of up to ``most_images`` in one run.

    ``number_of`` overrides how a matrix is multiplied on a path.

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
        activation=sizes.activation,
        has_first_token=sizes.has_first_token,
        most_images=most_images,
    )
    choose = number_of or product_number
    stored = tower.stored
    encoder.set_embedding(_floats(stored["vision.patches.weight"]), _floats(stored["vision.positions"]))
    for layer in range(sizes.layers):
        encoder.set_norms(layer, *[_floats(tower.layer(layer, name)) for name in tower.NORMS])
    read = tower.read_matrices if number_of is None and _rounds_itself(tower, encoder.path) else None
    matrices = _stored_matrices(tower, encoder.path, choose) if read is None else _read_matrices(read())
    for layer, name, weight, number in matrices:
        bias = _floats(tower.layer(layer, f"{name}.bias"))
        encoder.set_matrix(layer, tower.MATRICES.index(name), weight, bias, number)
    encoder.set_final_norm(_floats(stored["vision.norm.weight"]), _floats(stored["vision.norm.bias"]))
    if sizes.has_first_token:
        norm = [_floats(stored[f"vision.first_norm.{kind}"]) for kind in ("weight", "bias")]
        encoder.set_first_norm(*norm)
        encoder.set_connector(_floats(stored["vision.projection.weight"]), 1)
    elif sizes.pixel_shuffle:
        encoder.set_connector(_floats(stored["connector.weight"]), sizes.pixel_shuffle)
    return encoder


def product_number(stored: Stored, path: str) -> ProductNumber:
    """Return in which numbers a matrix is multiplied.

    Integer products round activations, and AMX tiles need one scale for 768 inputs. Weights with one scale a
    row keep their values, and 4 bits lose so much already that no more is seen. Weights of 8 bits in groups
    would lose more than in OpenVINO, unless ``bind_encoder`` has the checkpoint's own values: decisions 42
    and 59 have the numbers. The other paths keep the groups. AVX2
    multiplies activations of 16 bits as fast as those of 8, and those of 7 faster: decision 57.
    """
    if isinstance(stored, Int8Rows):
        return "int8"
    if not isinstance(stored, GroupedMatrix):
        return "bf16"
    is_int8 = stored.code is Code.INT8
    if path == AVX2_PATH:
        return "int16" if is_int8 else "int7"
    if path != AMX_PATH:
        return "int8-groups"
    return "bf16" if is_int8 else "int8"


def _rounds_itself(tower: SigLIPTower, path: str) -> bool:
    """Return whether matrices are rounded from the checkpoint's values: those of 8 bits in groups, on AMX."""
    first = tower.layer(0, "attention.weight")
    return path == AMX_PATH and isinstance(first, GroupedMatrix) and first.code is Code.INT8


def _read_matrices(matrices: Iterator[tuple[int, str, NDArray[np.float32]]]) -> Iterator[_Matrix]:
    for layer, name, weight in matrices:
        yield layer, name, np.ascontiguousarray(weight), _AMX_NUMBERS[name]


def _stored_matrices(
    tower: SigLIPTower, path: str, choose: Callable[[Stored, str], ProductNumber]
) -> Iterator[_Matrix]:
    for layer in range(tower.sizes.layers):
        for name in tower.MATRICES:
            weight = tower.layer(layer, f"{name}.weight")
            yield layer, name, _floats(weight), choose(weight, path)


def _fits(sizes: SigLIPSizes) -> bool:
    is_whole = all(size % _LANES == 0 for size in (sizes.hidden, sizes.ffn, sizes.patch_width))
    return is_whole and sizes.hidden // sizes.heads <= _MOST_HEAD


def _floats(stored: Stored) -> NDArray[np.float32]:
    return np.ascontiguousarray(dense(stored), np.float32)
