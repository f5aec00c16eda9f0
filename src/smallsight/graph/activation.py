"""Nonlinear functions between linear layers."""

from __future__ import annotations

from openvino import Node
from openvino import opset15 as ops


def gelu(hidden: Node) -> Node:
    """Return ``x * Phi(x)`` with the exact normal distribution, not its tanh approximation."""
    return ops.gelu(hidden, "erf")
