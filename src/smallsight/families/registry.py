"""The explicit list of model families, and what each can tell from sizes alone.

Adding a family is adding its folder and one line in ``FAMILIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.catalog.entry import Architecture
from smallsight.errors import ModelNotRunnableError
from smallsight.families.florence2 import shapes as florence2
from smallsight.families.moondream2 import shapes as moondream2
from smallsight.families.smolvlm import shapes as smolvlm
from smallsight.families.tensor_shape import TensorShape


@dataclass(frozen=True)
class Family:
    """What a family can say about an architecture before any weights are read."""

    tensor_shapes: Callable[[Mapping[str, Any]], tuple[TensorShape, ...]]
    kv_cache_bytes: Callable[[Mapping[str, Any]], int]


FAMILIES: Mapping[str, Family] = {
    "smolvlm": Family(smolvlm.tensor_shapes, smolvlm.kv_cache_bytes),
    "florence2": Family(florence2.tensor_shapes, florence2.kv_cache_bytes),
    "moondream2": Family(moondream2.tensor_shapes, moondream2.kv_cache_bytes),
}


def find_family(name: str) -> Family:
    """Return the family of this name; raises ModelNotRunnableError when there is no code for it."""
    if name not in FAMILIES:
        raise ModelNotRunnableError(
            f"Smallsight has no code for the model family {name!r}.",
            hint=f"it knows {', '.join(sorted(FAMILIES))}.",
        )
    return FAMILIES[name]


def tensor_shapes(architecture: Architecture) -> tuple[TensorShape, ...]:
    """List every parameter tensor of an architecture."""
    return find_family(architecture.family).tensor_shapes(architecture.sizes)
