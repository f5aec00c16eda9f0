"""The networks from a crop's patches to features, and from stitched features to image tokens.

Source: vikhyat/moondream 8ac77eb, torch/vision.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.moondream2.config import Moondream2Config, Moondream2VisionConfig
from smallsight.graph.activation import gelu, split
from smallsight.graph.constants import integers
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm
from smallsight.quant.forms import Stored

NORM_EPSILON = 1e-5


def build_tower_graph(config: Moondream2Config, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the tower over the output of ``stored.store_vision``, which must outlive the compiled network.

    Input ``patches``, float32 [crops, patches, 3 * patch_px**2], from ``families.patches``; output float32
    [crops, patches, hidden].
    """
    return _CropTowerBuilder(config, stored).tower()


def build_connector_graph(config: Moondream2Config, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the connector. ``stored`` must outlive the compiled network.

    Inputs ``whole`` and ``stitched``, float32 [patches, vision hidden]; output float32 [patches, text
    hidden].
    """
    return _CropTowerBuilder(config, stored).connector()


@dataclass(frozen=True)
class _CropTowerBuilder:
    config: Moondream2Config
    stored: Mapping[str, Stored]

    @property
    def vision(self) -> Moondream2VisionConfig:
        return self.config.vision

    def tower(self) -> ov.Model:
        num_patches, width = self.config.tokens_per_image, 3 * self.vision.patch_px**2
        patches_NPC = ops.parameter([-1, num_patches, width], np.float32, name="patches")
        positions = ops.constant(self._array("vision.positions")[None])
        hidden_NPD = ops.add(linear(patches_NPC, self.stored["vision.patches.weight"]), positions)
        for layer in range(self.vision.layers):
            hidden_NPD = self._layer(f"vision.layers.{layer}", hidden_NPD)
        features_NPD = ops.convert(self._norm("vision.norm", hidden_NPD), "f32")
        return ov.Model([ops.result(features_NPD)], [patches_NPC], "moondream2-tower")

    def connector(self) -> ov.Model:
        shape = [self.config.tokens_per_image, self.vision.hidden]
        whole, stitched = (ops.parameter(shape, np.float32, name=name) for name in ("whole", "stitched"))
        widened = gelu(self._linear("connector.up", ops.concat([whole, stitched], 1)), "tanh")
        tokens_TD = ops.convert(self._linear("connector.down", widened), "f32")
        return ov.Model([ops.result(tokens_TD)], [whole, stitched], "moondream2-connector")

    def _layer(self, name: str, hidden_NPD: Node) -> Node:
        attended = self._attend(name, self._norm(f"{name}.attention_norm", hidden_NPD))
        hidden_NPD = ops.add(hidden_NPD, attended)
        widened = self._linear(f"{name}.ffn_up", self._norm(f"{name}.ffn_norm", hidden_NPD))
        return ops.add(hidden_NPD, self._linear(f"{name}.ffn_down", gelu(widened, "tanh")))

    def _attend(self, name: str, hidden_NPD: Node) -> Node:
        """Attend without a mask, between all patches of a crop."""
        width = self.vision.hidden
        joined = self._linear(f"{name}.query_key_value", hidden_NPD)
        query, key, value = (self._heads(piece) for piece in split(joined, width, width, width))
        heads_NPHE = ops.transpose(ops.scaled_dot_product_attention(query, key, value), integers(0, 2, 1, 3))
        return self._linear(
            f"{name}.output", ops.reshape(heads_NPHE, integers(0, 0, width), special_zero=True)
        )

    def _heads(self, hidden_NPD: Node) -> Node:
        shape = integers(0, 0, self.vision.heads, self.vision.hidden // self.vision.heads)
        return ops.transpose(ops.reshape(hidden_NPD, shape, special_zero=True), integers(0, 2, 1, 3))

    def _linear(self, name: str, hidden: Node) -> Node:
        return linear(hidden, self.stored[f"{name}.weight"], self._array(f"{name}.bias"))

    def _norm(self, name: str, hidden: Node) -> Node:
        return layer_norm(hidden, self._array(f"{name}.weight"), self._array(f"{name}.bias"), NORM_EPSILON)

    def _array(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.stored[name], np.float32)
