"""The sizes of a CLIP, read from its config.json, and what its processor does by default."""

from __future__ import annotations

from pathlib import Path

from smallsight.errors import BrokenCheckpointError
from smallsight.families.dual_encoder.config import ConfigFile, DualEncoderConfig, read_sizes
from smallsight.families.dual_encoder.pictures import PictureDefaults

MODEL_TYPE = "clip"
_ENCODER = {"num_hidden_layers": 12, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
_DEFAULTS = {
    "text_config": _ENCODER
    | {
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_attention_heads": 8,
        "vocab_size": 49_408,
        "max_position_embeddings": 77,
        "eos_token_id": 49_407,
    },
    "vision_config": _ENCODER
    | {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": 32,
        "num_channels": 3,
    },
}
PICTURES = PictureDefaults(
    size={"shortest_edge": 224},
    crop=True,
    mean=(0.48145466, 0.4578275, 0.40821073),
    deviation=(0.26862954, 0.26130258, 0.27577711),
)
_USUAL_DIMENSIONS = 512


def read_config(model_dir: Path) -> DualEncoderConfig:
    """Read config.json; the defaults are those of transformers' CLIP configuration.

    Raises BrokenCheckpointError for invalid values, ModelNotRunnableError for unsupported variants.
    """
    file = ConfigFile(model_dir, MODEL_TYPE, _DEFAULTS)
    dimensions = file.values.get("projection_dim", _USUAL_DIMENSIONS)
    if not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1:
        raise BrokenCheckpointError(f"{file.path} has projection_dim {dimensions!r}, expected an integer.")
    return read_sizes(file, dimensions)
