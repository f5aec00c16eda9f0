"""The sizes of Smallsight-tiny-looks, from its config.json and from that of the tower which it shares."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.catalog.files import shipped_directory
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.dual_encoder.config import ConfigFile, DualEncoderConfig, read_sizes
from smallsight.families.dual_encoder.pictures import PictureDefaults
from smallsight.families.smolvlm.config import SmolVLMConfig
from smallsight.families.smolvlm.config import read_config as read_tower_config

MODEL_TYPE = "smallsight_drawings"
TOWER = "Smallsight-tiny"
_LAYER = {"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6}
_DEFAULTS = {"text_config": _LAYER, "vision_config": _LAYER | {"num_channels": 3}}
PICTURES = PictureDefaults(
    size={"height": 192, "width": 192}, crop=False, mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.5, 0.5)
)


@dataclass(frozen=True)
class DrawingsConfig:
    """The sizes of both encoders, and the tower: its files and its own configuration."""

    sizes: DualEncoderConfig
    pool_heads: int
    tower: SmolVLMConfig
    tower_files: tuple[Path, ...]


def read_config(model_dir: Path) -> DrawingsConfig:
    """Read config.json; the head works only with the tower that it was trained on.

    Raises BrokenCheckpointError for invalid values, ModelNotRunnableError for another tower.
    """
    file = ConfigFile(model_dir, MODEL_TYPE, _DEFAULTS)
    sizes = read_sizes(file, file.size("vision_config", "hidden_size"))
    pool_heads = file.size("vision_config", "pool_heads")
    if sizes.vision.hidden % pool_heads:
        raise BrokenCheckpointError(f"{file.path} has {pool_heads} pool_heads for {sizes.vision.hidden}.")
    folder = shipped_directory(TOWER)
    tower, tower_files = read_tower_config(folder), find_weight_files(folder)
    expected = file.value("vision_config", "tower_sha256")
    if len(tower_files) != 1 or _sha256(tower_files[0]) != expected:
        raise ModelNotRunnableError(
            f"{file.path} was trained on another version of {TOWER} than the one of this package.",
            hint="use the model that came with this version of Smallsight.",
        )
    return DrawingsConfig(sizes, pool_heads, tower, tower_files)


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
