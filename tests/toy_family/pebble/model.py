"""One Pebble checkpoint: a SmolVLM under another model type, whose text network keeps 16 bits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.quant.scheme import Module, Storage

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.quant.scheme import Scheme


class PebbleModel(SmolVLMModel):
    """What differs from SmolVLM."""

    model_types = ("pebble",)

    def __init__(self, model_dir: Path, scheme: Scheme, tiled_bytes: int) -> None:
        kept = {**scheme.modules, Module.TEXT: Storage.BF16}
        super().__init__(model_dir, replace(scheme, modules=kept), tiled_bytes)
