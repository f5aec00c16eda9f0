"""Makes layers of a moondream2 checkpoint's tensors one after the other, in their final form and place.

A layer is quantised before the next one is read, and what was freed meanwhile is returned to the system, so
that the peak stays close to the final size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from smallsight.engine.torch.checkpoint_tensors import HeapTrimming
from smallsight.engine.torch.device import CPU, Device
from smallsight.engine.torch.recipes import Linears, Recipe, quantised
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.quant.scheme import Module, Scheme

Layer = TypeVar("Layer", nn.Linear, nn.LayerNorm)


class CheckpointLayers:
    """The tensors of one checkpoint as layers, each taken once; raises BrokenCheckpointError.

    ``on_taken`` is called with the name of each tensor.
    """

    def __init__(
        self,
        weights: Moondream2Weights,
        scheme: Scheme,
        dtype: torch.dtype,
        device: Device,
        on_taken: Callable[[str], None] = lambda _: None,
        device_of: Callable[[str], str] | None = None,
    ) -> None:
        """``scheme`` decides by its bits which modules are quantised; everything else has ``dtype``.

        ``device_of`` returns the name of the device for a tensor's name, if several share the model.
        """
        self._weights = weights
        self._scheme = scheme
        self._dtype = dtype
        self._device = device
        self._on_taken = on_taken
        self._device_of = device_of
        self._trimming = HeapTrimming()

    def linear(self, name: str, module: Module | None) -> nn.Module:
        """Return a linear layer in the form of its module; without a module it is never quantised."""
        recipe, device = recipe_of_module(self._scheme, module, self._dtype), self._device_for(name)
        # LLM.int8 rounds from float16, which holds the published weights exactly.
        dtype = torch.float16 if recipe.linears is Linears.INT8 else self._dtype
        where = CPU if recipe.is_quantised else device.name  # quantising moves it
        layer = _filled(
            nn.Linear(1, 1, device="meta"),
            self._taken(f"{name}.weight", dtype, where),
            self._taken(f"{name}.bias", self._dtype, where),
        )
        layer.out_features, layer.in_features = layer.weight.shape
        num_values = layer.weight.numel()
        made = quantised(layer, recipe, device) if recipe.is_quantised else layer
        del layer  # its weight, before the heap is trimmed
        self._trimming.count(num_values)
        return made

    def norm(self, name: str, epsilon: float) -> nn.LayerNorm:
        """Return a layer norm."""
        where = self._device_for(name).name
        weight, bias = (self._taken(f"{name}.{kind}", self._dtype, where) for kind in ("weight", "bias"))
        return _filled(nn.LayerNorm(len(weight), eps=epsilon, device="meta"), weight, bias)

    def tensor(self, name: str) -> Tensor:
        """Return a tensor that is not part of a layer."""
        return self._taken(name, self._dtype, self._device_for(name).name)

    def _taken(self, name: str, dtype: torch.dtype, where: str) -> Tensor:
        """Return a tensor on a device; torch accepts no array that is read-only, as a mapped file is."""
        values = np.require(self._weights.take(name), requirements="W")
        self._on_taken(name)
        return torch.from_numpy(values).to(dtype).to(where)

    def _device_for(self, name: str) -> Device:
        if self._device_of is None:
            return self._device
        return replace(self._device, name=self._device_of(name))


def recipe_of_module(scheme: Scheme, module: Module | None, dtype: torch.dtype) -> Recipe:
    """Return how a linear layer of a module is stored; without a module it is never quantised."""
    bits = 32 if module is None else scheme.modules[module].bits
    return Recipe(Linears.PLAIN if bits > 8 else Linears.INT8 if bits == 8 else Linears.NF4, dtype)


def _filled(layer: Layer, weight: Tensor, bias: Tensor) -> Layer:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer.eval()
