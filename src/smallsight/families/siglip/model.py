"""An opened SigLIP checkpoint: what an engine needs to run it."""

from __future__ import annotations

from pathlib import Path

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.families.dual_encoder.model import (
    TEXT,
    VISION,
    DualEncoderModel,
    DualEncoderParts,
    sizes_of,
)
from smallsight.families.dual_encoder.pictures import PicturePreparation
from smallsight.families.dual_encoder.weights import DualEncoderWeights
from smallsight.families.siglip.config import PICTURES, read_config
from smallsight.families.siglip.graphs import (
    NAMES,
    build_text_graph,
    build_vision_graph,
    least_similarity,
    store_text,
    store_vision,
)
from smallsight.families.siglip.pooling import read_pooling
from smallsight.families.siglip.shapes import tensor_shapes_of
from smallsight.families.siglip.tokenizer import SigLIPTokens
from smallsight.quant.scheme import Scheme


def open_siglip(model_dir: Path, scheme: Scheme) -> DualEncoderModel:
    """Open a folder in Hugging Face layout; raises BrokenCheckpointError or ModelNotRunnableError."""
    config, files = read_config(model_dir), find_weight_files(model_dir)
    shapes = tensor_shapes_of(sizes_of(config))
    parts = DualEncoderParts(
        open_weights=lambda: DualEncoderWeights(files, shapes, NAMES),
        store={VISION: store_vision, TEXT: store_text},
        build={VISION: build_vision_graph, TEXT: build_text_graph},
        has_length=False,
        least_similarity=least_similarity,
        read_pooling=read_pooling,
    )
    pictures = PicturePreparation.load(model_dir, PICTURES, (config.image_px, config.patch_px))
    tokens = SigLIPTokens.load(model_dir, config)
    return DualEncoderModel(files, scheme, config, pictures, tokens, parts)
