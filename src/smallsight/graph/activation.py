"""Nonlinear functions between linear layers."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from openvino import Node
from openvino import opset15 as ops

Activation: TypeAlias = Literal["gelu", "gelu_pytorch_tanh", "quick_gelu"]  # as config.json names them
_QUICK_SLOPE = 1.702


def gelu(hidden: Node, form: Literal["erf", "tanh"] = "erf") -> Node:
    """Return ``x * Phi(x)`` with the exact normal distribution (erf) or the common approximation (tanh)."""
    return ops.gelu(hidden, form)


def activate(hidden: Node, activation: Activation) -> Node:
    """Apply an activation; ``quick_gelu`` is ``x * sigmoid(1.702 x)``."""
    if activation == "quick_gelu":
        return ops.swish(hidden, ops.constant(np.float32(_QUICK_SLOPE)))
    return gelu(hidden, "tanh" if activation == "gelu_pytorch_tanh" else "erf")


def gated_silu(gate_and_up: Node, width: int) -> Node:
    """Split the last axis into gate and up, each ``width`` wide, and return ``silu(gate) * up``."""
    gate, up = split(gate_and_up, width, width)
    return ops.multiply(ops.swish(gate), up)


def split(hidden: Node, *widths: int) -> list[Node]:
    """Split the last axis into pieces of these widths, which must add up to it."""
    pieces = ops.variadic_split(
        hidden, ops.constant(-1, dtype="int64"), ops.constant(list(widths), dtype="int64")
    )
    return [pieces.output(index) for index in range(len(widths))]
