"""The network from one tile's patches to its image tokens: SigLIP tower, pixel shuffle, projection.

Source: transformers 5.x, models/idefics3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.smolvlm.config import SmolVLMConfig, SmolVLMVisionConfig
from smallsight.graph.constants import integers
from smallsight.graph.encoder_layers import EncoderLayers
from smallsight.graph.linear import linear
from smallsight.quant.forms import Stored


def build_vision_graph(config: SmolVLMConfig, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the tower over the output of ``stored.store_vision``, which must outlive the compiled network.

    Input ``patches``, float32 [tiles, patches, 3 * patch_px**2], from ``families.patches``; output float32
    [tiles, tokens_per_tile, text hidden].
    """
    return _SigLIPBuilder(config, stored).build()


@dataclass(frozen=True)
class _SigLIPBuilder:
    config: SmolVLMConfig
    stored: Mapping[str, Stored]

    @property
    def vision(self) -> SmolVLMVisionConfig:
        return self.config.vision

    def build(self) -> ov.Model:
        num_patches, width = self.vision.patches_per_side**2, 3 * self.vision.patch_px**2
        patches_NPC = ops.parameter([-1, num_patches, width], np.float32, name="patches")
        encoder = EncoderLayers(
            self.stored,
            self.vision.hidden,
            self.vision.heads,
            self.vision.norm_epsilon,
            "gelu_pytorch_tanh",
        )
        hidden_NPD = self._embed(patches_NPC, encoder.vector("vision.positions"))
        for layer in range(self.vision.layers):
            hidden_NPD = encoder.layer(f"vision.layers.{layer}", hidden_NPD)
        hidden_NPD = encoder.norm("vision.norm", hidden_NPD)
        shuffled = self._shuffle(hidden_NPD)
        features_NTH = ops.convert(linear(shuffled, self.stored["connector.weight"]), "f32")
        return ov.Model([ops.result(features_NTH)], [patches_NPC], "smolvlm-vision")

    def _embed(self, patches_NPC: Node, positions_PD: NDArray[np.float32]) -> Node:
        projected = linear(patches_NPC, self.stored["vision.patches.weight"])
        return ops.add(projected, ops.constant(positions_PD[None]))

    def _shuffle(self, hidden_NPD: Node) -> Node:
        """Concatenate squares of ``pixel_shuffle`` x ``pixel_shuffle`` patches, row by row, into vectors."""
        factor, width = self.config.pixel_shuffle, self.vision.hidden
        side = self.vision.patches_per_side // factor
        squares = ops.reshape(
            hidden_NPD, integers(-1, side, factor, side, factor * width), special_zero=False
        )
        rows_first = ops.transpose(squares, integers(0, 1, 3, 2, 4))
        return ops.reshape(rows_first, integers(-1, side * side, factor * factor * width), special_zero=False)
