"""Opens Smallsight-tiny-looks: SigLIP's two networks over the tower of Smallsight-tiny and a trained head.

It knows the drawings of ``training/``, and nothing else.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.families.drawings.config import PICTURES, read_config
from smallsight.families.drawings.tokenizer import DrawingsTokens
from smallsight.families.drawings.weights import DrawingsWeights
from smallsight.families.dual_encoder.model import TEXT, VISION, DualEncoderModel, DualEncoderParts
from smallsight.families.dual_encoder.pictures import PicturePreparation
from smallsight.families.dual_encoder.weights import EncoderTensors
from smallsight.families.siglip.graphs import (
    build_text_graph,
    build_vision_graph,
    store_text,
    store_vision,
)
from smallsight.families.siglip.pooling import read_pooling
from smallsight.quant.scheme import Scheme

LEAST_CHANCE = 0.5  # that a drawing shows what a text says; training/LOG.md has what this lets through


def open_drawings(model_dir: Path, scheme: Scheme) -> DualEncoderModel:
    """Open a folder with the head; raises BrokenCheckpointError or ModelNotRunnableError."""
    config, head_files = read_config(model_dir), find_weight_files(model_dir)
    sizes = config.sizes
    parts = DualEncoderParts(
        open_weights=lambda: DrawingsWeights(head_files, config),
        store={VISION: store_vision, TEXT: store_text},
        build={VISION: partial(build_vision_graph, pool_heads=config.pool_heads), TEXT: build_text_graph},
        has_length=False,
        least_similarity=_least_similarity,
        is_least_measured=True,
        read_pooling=partial(read_pooling, pool_heads=config.pool_heads),
    )
    pictures = PicturePreparation.load(model_dir, PICTURES, (sizes.image_px, sizes.patch_px))
    tokens = DrawingsTokens.load(model_dir, sizes)
    return DualEncoderModel((*head_files, *config.tower_files), scheme, sizes, pictures, tokens, parts)


def _least_similarity(weights: EncoderTensors) -> float:
    """Return the cosine to which the network gives an even chance, by its own scale and bias."""
    scale, bias = float(weights.take("logit.scale")[0]), float(weights.take("logit.bias")[0])
    return (math.log(LEAST_CHANCE / (1 - LEAST_CHANCE)) - bias) / math.exp(scale)
