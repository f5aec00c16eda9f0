"""Which modules of a moondream2 may be on different devices, and how many bytes they have."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from smallsight.engine.torch.moondream2_layers import recipe_of_module
from smallsight.engine.torch.placement import bytes_per_value
from smallsight.families.tensor_shape import Role, TensorShape, Use
from smallsight.quant.scheme import Module, Scheme

LAYERS = "text.layers"
TOWER, HEAD = "tower", "head"  # the tower has the connector and the number decoders beside it
_PLAIN = ("vision.patches.weight",)
_MODULES = {
    Role.VISION: Module.VISION,
    Role.CONNECTOR: Module.CONNECTOR,
    Role.TEXT: Module.TEXT,
    Role.HEAD: Module.HEAD,
}


def module_of(tensor: str) -> str:
    """Return the module that a tensor is placed with, by the tensor's name."""
    if tensor.startswith(f"{LAYERS}."):
        return ".".join(tensor.split(".")[:3])
    return HEAD if tensor.partition(".")[0] in ("text", HEAD) else TOWER


def module_sizes_of(tensors: Sequence[TensorShape], scheme: Scheme, dtype: torch.dtype) -> dict[str, int]:
    """Return the bytes of modules, in the order of the computation; the embeddings stay in their file."""
    sizes: dict[str, float] = {}
    for one in tensors:
        if one.use is Use.LOOKUP:
            continue
        is_linear = one.use is Use.LINEAR and one.name not in _PLAIN
        recipe = recipe_of_module(scheme, _MODULES.get(one.role) if is_linear else None, dtype)
        name = module_of(one.name)
        sizes[name] = sizes.get(name, 0) + one.num_values * bytes_per_value(recipe)
    return {name: int(num_bytes) for name, num_bytes in sizes.items()}
