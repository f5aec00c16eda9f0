"""The sizes of a SigLIP, read from its config.json, and what its processor does by default."""

from __future__ import annotations

from pathlib import Path

from smallsight.errors import ModelNotRunnableError
from smallsight.families.dual_encoder.config import ConfigFile, DualEncoderConfig, read_sizes
from smallsight.families.dual_encoder.pictures import PictureDefaults

MODEL_TYPE = "siglip"
_ENCODER = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
_DEFAULTS = {
    "text_config": _ENCODER | {"vocab_size": 32_000, "max_position_embeddings": 64},
    "vision_config": _ENCODER
    | {"image_size": 224, "patch_size": 16, "num_channels": 3, "vision_use_head": True},
}
PICTURES = PictureDefaults(
    size={"height": 224, "width": 224}, crop=False, mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5)
)


def read_config(model_dir: Path) -> DualEncoderConfig:
    """Read config.json; the defaults are those of transformers' SigLIP configuration.

    Raises BrokenCheckpointError for invalid values, ModelNotRunnableError for unsupported variants.
    """
    file = ConfigFile(model_dir, MODEL_TYPE, _DEFAULTS)
    width = file.size("vision_config", "hidden_size")
    projected = file.value("text_config", "projection_size") or file.size("text_config", "hidden_size")
    if projected != width or not file.value("vision_config", "vision_use_head"):
        raise ModelNotRunnableError(
            f"{file.path} describes texts with vectors of {projected} numbers and pictures with {width}, or "
            "has no pooling head.",
            hint="use a checkpoint whose texts and pictures can be compared.",
        )
    return read_sizes(file, width)
