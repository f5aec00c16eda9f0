"""Places the modules of a model on several devices where one has too little memory, or where that is wanted.

accelerate's hooks move inputs to the device of each module; the KV cache is where its layers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig

from smallsight.engine.engine import LoadRequest
from smallsight.engine.torch.device import DISK, Device
from smallsight.engine.torch.recipes import Linears, Recipe
from smallsight.errors import ModelNotRunnableError
from smallsight.policy.log import get_logger

log = get_logger(__name__)

_USABLE = 0.9  # of a device's free memory: answers need some too
_QUANTISED_BYTES = {Linears.INT8: 1.0, Linears.NF4: 0.52}  # scales included


@dataclass(frozen=True)
class DeviceMap:
    """Names of devices by names of modules, in the order of the computation."""

    device_of: Mapping[str, str]

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that have modules, in order."""
        return tuple(dict.fromkeys(self.device_of.values()))

    def of_layers(self, prefix: str, count: int) -> tuple[str, ...]:
        """Return the device that computes each layer ``prefix.number``."""
        found = (self.device_of[f"{prefix}.{number}"] for number in range(count))
        return tuple(self.devices[0] if one == DISK else one for one in found)


def place(sizes: Mapping[str, int], device: Device, more_bytes: int) -> DeviceMap | None:
    """Return where modules go, in their order, or None if all go to the device itself.

    ``more_bytes`` is needed beside the modules, such as for the KV cache. Devices get shares in proportion to
    their free memory.
    """
    if not device.others:
        return None
    free = dict(device.free_by_device())
    needed_bytes = sum(sizes.values()) + more_bytes
    if not device.is_shared and needed_bytes <= _USABLE * free[device.name]:
        return None
    placement = DeviceMap(split(sizes, free))
    needed, has = (f"{one / 2**20:,.0f} MiB" for one in (needed_bytes, free[device.name]))
    reason = "as requested" if device.is_shared else f"{needed} do not fit in the {has} of {device.name}"
    log.info("torch_placed", devices=" and ".join(placement.devices), reason=reason)
    return placement


def require_plain_decoding(request: LoadRequest) -> None:
    """Raise ModelNotRunnableError for a request to compile a model on several devices."""
    if request.compile:
        raise ModelNotRunnableError("A model on several devices cannot be compiled.", hint="name one device.")


def split(sizes: Mapping[str, int], free: Mapping[str, int]) -> dict[str, str]:
    """Return the device of each module: consecutive modules, in proportion to what is free."""
    names, total = list(free), sum(sizes.values())
    ends = [total * part / sum(free.values()) for part in accumulate(free.values())]
    found, begin = {}, 0
    for module, num_bytes in sizes.items():
        middle = begin + num_bytes / 2
        found[module] = next(
            (name for name, end in zip(names, ends, strict=True) if middle <= end), names[-1]
        )
        begin += num_bytes
    return found


def bytes_per_value(recipe: Recipe) -> float:
    """Return the bytes of one value of a linear layer in a recipe."""
    return _QUANTISED_BYTES.get(recipe.linears, float(recipe.dtype.itemsize))


def module_sizes(
    model_class: Any,  # noqa: ANN401 - a class of transformers
    model_dir: Path,
    recipe: Recipe,
    names: Sequence[str],
    skipped: Sequence[str],
) -> dict[str, int]:
    """Return the bytes of modules in a recipe, from a network without memory.

    ``names`` are in the order of the computation; one that ends with ``.*`` stands for each child of a list.
    """
    config = AutoConfig.from_pretrained(model_dir, local_files_only=True)
    with torch.device("meta"):
        network = model_class.from_config(config)
    expanded: list[str] = []
    for name in names:
        parent = name.removesuffix(".*")
        if parent == name:
            expanded.append(name)
        else:
            expanded += [f"{parent}.{child}" for child, _ in network.get_submodule(parent).named_children()]
    return {name: _bytes_of(network.get_submodule(name), name, recipe, skipped) for name in expanded}


def _bytes_of(module: nn.Module, name: str, recipe: Recipe, skipped: Sequence[str]) -> int:
    plain_bytes = recipe.dtype.itemsize
    quantised_bytes = bytes_per_value(recipe)
    is_skipped = any(name.startswith(one) for one in skipped)
    linear = {id(one.weight) for one in module.modules() if isinstance(one, nn.Linear) and not is_skipped}
    return int(
        sum(
            one.numel() * (quantised_bytes if id(one) in linear else plain_bytes)
            for one in module.parameters()
        )
    )
