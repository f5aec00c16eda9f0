"""A parameter tensor as a family describes it: name, shape, part of the network, and use.

The names are Smallsight's; the family's ``weights.py`` maps them to the checkpoint's names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

MAX_LAYERS = 1000  # far above any model; more in a configuration would take for ever to list


class Role(StrEnum):
    """The part of a model that a tensor belongs to; quantisation is decided per part."""

    VISION = "vision"
    CONNECTOR = "connector"
    EMBEDDINGS = "embeddings"
    TEXT = "text"
    REGION = "region"
    HEAD = "head"


class Use(StrEnum):
    """What a tensor does in the network, which decides how it can be stored."""

    LINEAR = "linear"  # a matrix that activations are multiplied by, shape (out, in)
    LOOKUP = "lookup"  # a table whose rows are read by token id, shape (rows, width)
    OTHER = "other"  # norms, biases, convolutions, positions: small, never quantised


@dataclass(frozen=True)
class TensorShape:
    """One parameter tensor."""

    name: str
    shape: tuple[int, ...]
    role: Role
    use: Use

    @property
    def num_values(self) -> int:
        """Number of values in the tensor."""
        return math.prod(self.shape)


def linear(name: str, out_size: int, in_size: int, role: Role, *, bias: bool = True) -> list[TensorShape]:
    """Return the tensors of a linear layer."""
    weight = TensorShape(f"{name}.weight", (out_size, in_size), role, Use.LINEAR)
    return [weight, TensorShape(f"{name}.bias", (out_size,), role, Use.OTHER)] if bias else [weight]


def norm(name: str, size: int, role: Role, *, bias: bool = True) -> list[TensorShape]:
    """Return the tensors of a layer norm, or without bias of an RMS norm."""
    return [plain(f"{name}.{part}", (size,), role) for part in (("weight", "bias") if bias else ("weight",))]


def convolution(name: str, out_size: int, in_size: int, kernel_px: int, role: Role) -> list[TensorShape]:
    """Return the tensors of a square 2-D convolution; for a depthwise one ``in_size`` is 1."""
    return [
        plain(f"{name}.weight", (out_size, in_size, kernel_px, kernel_px), role),
        plain(f"{name}.bias", (out_size,), role),
    ]


def plain(name: str, shape: tuple[int, ...], role: Role) -> TensorShape:
    """Return a tensor that is never quantised."""
    return TensorShape(name, shape, role, Use.OTHER)


def lookup(name: str, num_rows: int, width: int, role: Role = Role.EMBEDDINGS) -> TensorShape:
    """Return a table read by token id."""
    return TensorShape(name, (num_rows, width), role, Use.LOOKUP)
