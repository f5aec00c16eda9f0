"""Chooses what encodes a model's tiles: the extension's code, or the compiled tower."""

from __future__ import annotations

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.native.tile_encoder import NativeTileEncoder, native_tile_encoder
from smallsight.engine.openvino.faster_code import tower_comparison
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.tile_runner import TileRunner
from smallsight.engine.openvino.weight_store import StoredWeights
from smallsight.families.inline_model import InlineModel


def make_tile_encoder(
    model: InlineModel, weights: StoredWeights, features: FeatureCache
) -> TileRunner | NativeTileEncoder:
    """Return the extension's encoder where it was asked for and can be used, otherwise OpenVINO's."""
    request = weights.request
    if request.options.uses_kernels:
        with releasing_pages(weights):
            native = native_tile_encoder(
                model.siglip_tower(weights.stored),
                model.to_patches,
                features,
                request.threads,
                rounds_activations=request.scheme.arithmetic != "f32",
                compare=tower_comparison(model, weights),
            )
        if native is not None:
            return native
    network = weights.compile(model.vision_graph)
    return TileRunner(network, model.to_patches, features, weights.release_pages)
