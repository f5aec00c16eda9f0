"""Makes layers of a moondream2 checkpoint's tensors one after the other, in their final form and place.

A layer is quantised before the next one is read, and what was freed meanwhile is returned to the system, so
that the peak stays close to the final size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from smallsight.engine.torch.device import Device
from smallsight.engine.torch.recipes import Linears, Recipe, quantised
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.machine.memory import trim_heap
from smallsight.quant.scheme import Module, Scheme

Layer = TypeVar("Layer", nn.Linear, nn.LayerNorm)

_READ_BETWEEN_TRIMS = 4 << 20  # values: 16 MiB in float32


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
    ) -> None:
        """``scheme`` decides by its bits which modules are quantised; everything else has ``dtype``."""
        self._weights = weights
        self._scheme = scheme
        self._dtype = dtype
        self._device = device
        self._on_taken = on_taken
        self._values_since_trim = 0

    def linear(self, name: str, module: Module | None) -> nn.Module:
        """Return a linear layer in the form of its module; without a module it is never quantised."""
        recipe = self._recipe_of(module)
        # LLM.int8 rounds from float16, which holds the published weights exactly.
        dtype = torch.float16 if recipe.linears is Linears.INT8 else self._dtype
        layer = _filled(
            nn.Linear(1, 1, device="meta"),
            self._taken(f"{name}.weight", dtype),
            self._taken(f"{name}.bias", self._dtype),
        )
        layer.out_features, layer.in_features = layer.weight.shape
        num_values = layer.weight.numel()
        made = quantised(layer, recipe, self._device) if recipe.is_quantised else layer.to(self._device.name)
        del layer  # its weight, before the heap is trimmed
        self._trim(num_values)
        return made

    def norm(self, name: str, epsilon: float) -> nn.LayerNorm:
        """Return a layer norm."""
        weight, bias = (self._taken(f"{name}.{kind}", self._dtype) for kind in ("weight", "bias"))
        layer = nn.LayerNorm(len(weight), eps=epsilon, device="meta")
        return _filled(layer, weight, bias).to(self._device.name)

    def tensor(self, name: str) -> Tensor:
        """Return a tensor that is not part of a layer."""
        return self._taken(name, self._dtype).to(self._device.name)

    def _taken(self, name: str, dtype: torch.dtype) -> Tensor:
        """Return a tensor on the CPU; torch accepts no array that is read-only, as a mapped file is."""
        values = np.require(self._weights.take(name), requirements="W")
        self._on_taken(name)
        return torch.from_numpy(values).to(dtype)

    def _trim(self, num_values: int) -> None:
        """Return freed memory after enough values have been read.

        Otherwise weights lie among the freed temporaries of others, which then stay resident.
        """
        self._values_since_trim += num_values
        if self._values_since_trim >= _READ_BETWEEN_TRIMS:
            self._values_since_trim = 0
            trim_heap()

    def _recipe_of(self, module: Module | None) -> Recipe:
        bits = 32 if module is None else self._scheme.modules[module].bits
        linears = Linears.PLAIN if bits > 8 else Linears.INT8 if bits == 8 else Linears.NF4
        return Recipe(linears, self._dtype)


def _filled(layer: Layer, weight: Tensor, bias: Tensor) -> Layer:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer.eval()
