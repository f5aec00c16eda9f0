"""SigLIP's pooling head for an engine that computes it without a graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smallsight.families.dual_encoder.config import DualEncoderConfig
from smallsight.families.siglip_tower import SigLIPPooling
from smallsight.quant.forms import Stored, dense, first_rows


def read_pooling(
    config: DualEncoderConfig, stored: Mapping[str, Stored], pool_heads: int | None = None
) -> SigLIPPooling:
    """Return the head's weights, and its one query multiplied by the weights of keys.

    It has as many heads as the encoder, unless ``pool_heads`` says otherwise.
    """
    width, heads = config.vision.hidden, pool_heads or config.vision.heads
    keys_HED = dense(first_rows(stored["vision.pool.attention.weight"], width)).reshape(heads, -1, width)
    query_HE = dense(stored["vision.pool.query"]).reshape(heads, -1)
    queries_HD = np.einsum("he,hed->hd", query_HE, keys_HED) / np.sqrt(width / heads)
    return SigLIPPooling(
        queries_HD=np.ascontiguousarray(queries_HD, np.float32),
        ffn=config.vision.ffn,
        patches=config.num_patches,
        norm_epsilon=config.vision.norm_epsilon,
        stored=stored,
    )
