"""Chooses what encodes a model's tiles: the extension's code, or the compiled tower."""

from __future__ import annotations

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.native.tile_encoder import NativeTileEncoder, native_tile_encoder
from smallsight.engine.openvino.faster_code import tower_comparison
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.tile_runner import TileRunner
from smallsight.engine.openvino.weight_store import StoredWeights
from smallsight.engine.small_networks import tiles_together
from smallsight.families.inline_model import InlineModel
from smallsight.machine.cores import usable_cores


def make_tile_encoder(
    model: InlineModel, weights: StoredWeights, features: FeatureCache
) -> TileRunner | NativeTileEncoder:
    """Return the extension's encoder where it was asked for and can be used, otherwise OpenVINO's."""
    request = weights.request
    tower = model.siglip_tower(weights.stored)
    tiles_at_once = tiles_together(None if tower is None else tower.sizes)
    if request.options.uses_kernels:
        with releasing_pages(weights):
            native = native_tile_encoder(
                tower,
                model.to_patches,
                features,
                request.threads,
                rounds_activations=request.scheme.arithmetic != "f32",
                compare=tower_comparison(model, weights),
                tiles_at_once=tiles_at_once,
            )
        if native is not None:
            return native
    num_requests = min(tiles_at_once, request.threads or usable_cores())
    requests = weights.compile_for_calls_at_once(model.vision_graph, num_requests)
    return TileRunner(
        requests, model.to_patches, features, weights.release_pages, tiles_at_once=tiles_at_once
    )
