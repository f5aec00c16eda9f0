"""The networks from the decoder's hidden state to bins of a coordinate, or of a width and a height.

Source: vikhyat/moondream 8ac77eb, torch/region.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.region import NumberKind
from smallsight.graph.activation import gelu
from smallsight.graph.linear import linear
from smallsight.quant.forms import Stored


def build_region_graph(config: Moondream2Config, stored: Mapping[str, Stored], kind: NumberKind) -> ov.Model:
    """Build one number decoder over the output of ``stored.store_text``, which must outlive it.

    Input ``hidden`` float32 [1, text hidden]; output float32 [1, bins]. A size's first half is the width.
    """

    def apply(part: str, inputs: Node) -> Node:
        name = f"region.{kind}_decoder_{part}"
        return linear(inputs, stored[f"{name}.weight"], np.asarray(stored[f"{name}.bias"], np.float32))

    hidden = ops.parameter([1, config.text.hidden], np.float32, name="hidden")
    bins = apply("down", gelu(apply("up", hidden), "tanh"))
    return ov.Model([ops.result(ops.convert(bins, "f32"))], [hidden], f"moondream2-{kind}")
