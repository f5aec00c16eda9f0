"""One Pebble checkpoint: a SmolVLM under another model type, whose text network keeps 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.quant.forms import Storage
from smallsight.quant.scheme import Module

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.quant.scheme import Scheme


class PebbleModel(SmolVLMModel):
    """What differs from SmolVLM."""

    model_types = ("pebble",)

    def __init__(self, model_dir: Path, scheme: Scheme, tiled_bytes: int) -> None:
        super().__init__(model_dir, scheme.adapted({Module.TEXT: Storage.BF16}), tiled_bytes)
