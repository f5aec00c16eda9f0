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
from smallsight.graph.activation import gelu, split
from smallsight.graph.constants import integers
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm
from smallsight.quant.forms import Stored

BUILDER_VERSION = 1  # increment when the same weights would give other features


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
        hidden_NPD = self._embed(patches_NPC)
        for layer in range(self.vision.layers):
            hidden_NPD = self._layer(f"vision.layers.{layer}", hidden_NPD)
        hidden_NPD = self._norm("vision.norm", hidden_NPD)
        shuffled = self._shuffle(hidden_NPD)
        features_NTH = ops.convert(linear(shuffled, self.stored["connector.weight"]), "f32")
        return ov.Model([ops.result(features_NTH)], [patches_NPC], "smolvlm-vision")

    def _embed(self, patches_NPC: Node) -> Node:
        projected = linear(patches_NPC, self.stored["vision.patches.weight"])
        return ops.add(projected, ops.constant(self._vector("vision.positions")[None]))

    def _layer(self, name: str, hidden_NPD: Node) -> Node:
        attended = self._attend(name, self._norm(f"{name}.attention_norm", hidden_NPD))
        hidden_NPD = ops.add(hidden_NPD, attended)
        widened = self._linear(f"{name}.ffn_up", self._norm(f"{name}.ffn_norm", hidden_NPD))
        return ops.add(hidden_NPD, self._linear(f"{name}.ffn_down", gelu(widened, "tanh")))

    def _attend(self, name: str, hidden_NPD: Node) -> Node:
        """Attend without a mask, between all patches. Query, key and value are one product."""
        joined = self._linear(f"{name}.attention", hidden_NPD)
        width = self.vision.hidden
        query, key, value = (self._heads(piece) for piece in split(joined, width, width, width))
        heads_NHPE = ops.scaled_dot_product_attention(query, key, value)
        heads_NPHE = ops.transpose(heads_NHPE, integers(0, 2, 1, 3))
        return self._linear(
            f"{name}.output", ops.reshape(heads_NPHE, integers(0, 0, width), special_zero=True)
        )

    def _heads(self, hidden_NPD: Node) -> Node:
        shape = integers(0, 0, self.vision.heads, self.vision.hidden // self.vision.heads)
        return ops.transpose(ops.reshape(hidden_NPD, shape, special_zero=True), integers(0, 2, 1, 3))

    def _shuffle(self, hidden_NPD: Node) -> Node:
        """Concatenate squares of ``pixel_shuffle`` x ``pixel_shuffle`` patches, row by row, into vectors."""
        factor, width = self.config.pixel_shuffle, self.vision.hidden
        side = self.vision.patches_per_side // factor
        squares = ops.reshape(
            hidden_NPD, integers(-1, side, factor, side, factor * width), special_zero=False
        )
        rows_first = ops.transpose(squares, integers(0, 1, 3, 2, 4))
        return ops.reshape(rows_first, integers(-1, side * side, factor * factor * width), special_zero=False)

    def _linear(self, name: str, hidden: Node) -> Node:
        return linear(hidden, self.stored[f"{name}.weight"], self._vector(f"{name}.bias"))

    def _norm(self, name: str, hidden: Node) -> Node:
        scale, shift = self._vector(f"{name}.weight"), self._vector(f"{name}.bias")
        return layer_norm(hidden, scale, shift, self.vision.norm_epsilon)

    def _vector(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.stored[name], np.float32)
