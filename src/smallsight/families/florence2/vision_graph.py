"""The network from a picture to its tokens: DaViT, positions, projection.

DaViT alternates attention between positions, within windows, and attention between channels, over the whole
picture. Source: transformers 5.x, models/florence2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.florence2.config import DaViTStage, Florence2Config
from smallsight.graph.activation import gelu, split
from smallsight.graph.constants import integers, scalar
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm
from smallsight.quant.forms import Stored

NORM_EPSILON = 1e-5


def build_vision_graph(config: Florence2Config, stored: Mapping[str, Stored], image_px: int) -> ov.Model:
    """Build the tower over the output of ``stored.store_vision``, which must outlive the compiled network.

    Input ``pixels`` float32 [pictures, 3, image_px, image_px]; output float32 [pictures, tokens, hidden],
    with the token of the whole picture first.
    """
    return _DaViTBuilder(config, stored, image_px).build()


@dataclass(frozen=True)
class _DaViTBuilder:
    config: Florence2Config
    stored: Mapping[str, Stored]
    image_px: int

    def build(self) -> ov.Model:
        pixels = ops.parameter([-1, 3, self.image_px, self.image_px], np.float32, name="pixels")
        hidden, side = ops.transpose(pixels, integers(0, 2, 3, 1)), self.image_px
        for number, stage in enumerate(self.config.stages):
            hidden, side = self._shrink(f"vision.stages.{number}", stage, hidden, side)
            for block in range(stage.depth):
                name = f"vision.stages.{number}.blocks.{block}"
                hidden = self._half(f"{name}.window", stage, hidden, side)
                hidden = self._half(f"{name}.channel", stage, hidden, side)
        tokens = self._connect(hidden, side)
        return ov.Model([ops.result(ops.convert(tokens, "f32"))], [pixels], "florence2-vision")

    def _shrink(self, name: str, stage: DaViTStage, hidden_NHWC: Node, side: int) -> tuple[Node, int]:
        """Apply the strided convolution; the first stage normalises after it, the others before."""
        is_first = name.endswith("stages.0")
        if not is_first:
            hidden_NHWC = self._norm(f"{name}.norm", hidden_NHWC)
        convolved = self._convolve(f"{name}.patches", hidden_NHWC, stage.stride, stage.padding)
        side = (side + 2 * stage.padding - stage.patch_px) // stage.stride + 1
        return self._norm(f"{name}.norm", convolved) if is_first else convolved, side

    def _half(self, name: str, stage: DaViTStage, hidden_NHWC: Node, side: int) -> Node:
        """Apply attention and a feed-forward network, both residual and after a depthwise convolution."""
        hidden_NHWC = ops.add(
            hidden_NHWC, self._convolve_each(f"{name}.before_attention", hidden_NHWC, stage)
        )
        normed = self._norm(f"{name}.attention_norm", hidden_NHWC)
        attend = self._attend_in_windows if name.endswith("window") else self._attend_channels
        hidden_NHWC = ops.add(hidden_NHWC, attend(name, stage, normed, side))
        hidden_NHWC = ops.add(hidden_NHWC, self._convolve_each(f"{name}.before_ffn", hidden_NHWC, stage))
        widened = self._linear(f"{name}.ffn_up", self._norm(f"{name}.ffn_norm", hidden_NHWC))
        return ops.add(hidden_NHWC, self._linear(f"{name}.ffn_down", gelu(widened)))

    def _attend_in_windows(self, name: str, stage: DaViTStage, hidden_NHWC: Node, side: int) -> Node:
        window, width, head = self.config.window, stage.width, stage.width // stage.heads
        missing = -side % window
        if missing:
            hidden_NHWC = ops.pad(
                hidden_NHWC, integers(0, 0, 0, 0), integers(0, missing, missing, 0), "constant", scalar(0.0)
            )
        rows = (side + missing) // window
        cut = ops.reshape(hidden_NHWC, integers(-1, rows, window, rows, window, width), special_zero=False)
        windows = ops.reshape(
            ops.transpose(cut, integers(0, 1, 3, 2, 4, 5)), integers(-1, window**2, width), special_zero=False
        )
        joined = self._linear(f"{name}.query_key_value", windows)
        query, key, value = (
            ops.transpose(
                ops.reshape(piece, integers(0, 0, stage.heads, head), special_zero=True), integers(0, 2, 1, 3)
            )
            for piece in split(joined, width, width, width)
        )
        attended = ops.transpose(ops.scaled_dot_product_attention(query, key, value), integers(0, 2, 1, 3))
        projected = self._linear(
            f"{name}.output", ops.reshape(attended, integers(0, 0, width), special_zero=True)
        )
        back = ops.reshape(projected, integers(-1, rows, rows, window, window, width), special_zero=False)
        whole = ops.reshape(
            ops.transpose(back, integers(0, 1, 3, 2, 4, 5)),
            integers(-1, rows * window, rows * window, width),
            special_zero=False,
        )
        if not missing:
            return whole
        return ops.slice(whole, integers(0, 0), integers(side, side), integers(1, 1), integers(1, 2))

    def _attend_channels(self, name: str, stage: DaViTStage, hidden_NHWC: Node, side: int) -> Node:
        """Attend between the channels of a group; each channel's vector has one value per position."""
        num_positions, size = side * side, stage.width // stage.groups
        tokens = ops.reshape(hidden_NHWC, integers(-1, num_positions, stage.width), special_zero=False)
        joined = self._linear(f"{name}.query_key_value", tokens)
        query, key, value = (
            ops.transpose(
                ops.reshape(piece, integers(0, 0, stage.groups, size), special_zero=True),
                integers(0, 2, 1, 3),
            )
            for piece in split(joined, stage.width, stage.width, stage.width)
        )
        scaled = ops.multiply(query, scalar(num_positions**-0.5))
        scores = ops.softmax(ops.matmul(scaled, key, transpose_a=True, transpose_b=False), -1)
        attended = ops.transpose(
            ops.matmul(value, scores, transpose_a=False, transpose_b=True), integers(0, 2, 1, 3)
        )
        projected = self._linear(
            f"{name}.output", ops.reshape(attended, integers(0, 0, stage.width), special_zero=True)
        )
        return ops.reshape(projected, integers(-1, side, side, stage.width), special_zero=False)

    def _connect(self, hidden_NHWC: Node, side: int) -> Node:
        """Add positions, prepend the mean of all tokens, and project to the text's width."""
        width = self.config.stages[-1].width
        rows, columns = (self._array(f"connector.{name}")[:side] for name in ("rows", "columns"))
        grid = np.concatenate(
            [
                np.broadcast_to(columns[None], (side, *columns.shape)),
                np.broadcast_to(rows[:, None], (side, side, rows.shape[1])),
            ],
            axis=2,
        )
        # The temporal position of a single picture: alternating sine 0 and cosine 1.
        moment = np.tile(np.array([0, 1], np.float32), width // 2)
        positions = ops.constant((grid + moment).reshape(1, side * side, width).astype(np.float32))
        tokens = ops.add(
            ops.reshape(hidden_NHWC, integers(-1, side * side, width), special_zero=False), positions
        )
        mean = ops.reduce_mean(tokens, integers(1), keep_dims=True)
        projected = linear(ops.concat([mean, tokens], 1), self.stored["connector.projection.weight"])
        return self._norm("connector.norm", projected)

    def _convolve(self, name: str, hidden_NHWC: Node, stride: int, padding: int) -> Node:
        pads = [padding, padding]
        convolved = ops.convolution(
            ops.transpose(hidden_NHWC, integers(0, 3, 1, 2)),
            ops.constant(self._array(f"{name}.weight")),
            [stride, stride],
            pads,
            pads,
            [1, 1],
        )
        return ops.add(
            ops.transpose(convolved, integers(0, 2, 3, 1)), ops.constant(self._array(f"{name}.bias"))
        )

    def _convolve_each(self, name: str, hidden_NHWC: Node, stage: DaViTStage) -> Node:
        """Apply a 3 x 3 depthwise convolution."""
        filters = self._array(f"{name}.weight").reshape(stage.width, 1, 1, 3, 3)
        convolved = ops.group_convolution(
            ops.transpose(hidden_NHWC, integers(0, 3, 1, 2)),
            ops.constant(filters),
            [1, 1],
            [1, 1],
            [1, 1],
            [1, 1],
        )
        return ops.add(
            ops.transpose(convolved, integers(0, 2, 3, 1)), ops.constant(self._array(f"{name}.bias"))
        )

    def _linear(self, name: str, hidden: Node) -> Node:
        return linear(hidden, self.stored[f"{name}.weight"], self._array(f"{name}.bias"))

    def _norm(self, name: str, hidden: Node) -> Node:
        return layer_norm(hidden, self._array(f"{name}.weight"), self._array(f"{name}.bias"), NORM_EPSILON)

    def _array(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.stored[name], np.float32)
