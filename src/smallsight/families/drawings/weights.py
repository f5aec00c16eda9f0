"""Reads the tensors of Smallsight-tiny-looks: the tower's are in Smallsight-tiny's file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.families.drawings.config import DrawingsConfig
from smallsight.families.dual_encoder.model import sizes_of
from smallsight.families.dual_encoder.weights import DualEncoderWeights
from smallsight.families.siglip.graphs import NAMES
from smallsight.families.siglip.shapes import tensor_shapes_of
from smallsight.families.smolvlm.vision_positions import position_ids
from smallsight.families.smolvlm.weights import SmolVLMWeights
from smallsight.families.tensor_files import RowTable

_OF_TOWER = ("vision.patches.", "vision.positions", "vision.layers.", "vision.norm.")


class DrawingsWeights:
    """The tensors of a SigLIP with these sizes, from two files, each tensor taken once.

    Raises BrokenCheckpointError at once for missing or unknown ones.
    """

    def __init__(self, head_files: Sequence[Path], config: DrawingsConfig) -> None:
        shapes = [
            one for one in tensor_shapes_of(sizes_of(config.sizes)) if not one.name.startswith(_OF_TOWER)
        ]
        self._head = DualEncoderWeights(head_files, shapes, NAMES)
        self._tower = SmolVLMWeights(config.tower_files, config.tower)
        self._patches_per_side = config.tower.vision.patches_per_side

    def take(self, name: str) -> NDArray[np.float32]:
        """Return a tensor as float32, once; raises BrokenCheckpointError."""
        if not name.startswith(_OF_TOWER):
            return self._head.take(name)
        tensor = self._tower.take(name)
        return tensor[position_ids(self._patches_per_side)] if name == "vision.positions" else tensor

    def map_embeddings(self) -> RowTable:
        """Return the table of the words it knows, memory-mapped from the head's file."""
        return self._head.map_embeddings()
