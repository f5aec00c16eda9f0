"""Counts the weights of a torch module by part of the model and stored form."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import nn

from smallsight.engine.torch.recipes import Linears
from smallsight.families.stored_parts import PartWeights

_FORMS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def count_modules(model: nn.Module, part_of: Callable[[str], str]) -> tuple[PartWeights, ...]:
    """Count parameters by part, as ``part_of`` decides from their names, and form.

    A matrix that is used twice counts once, under the first of its names.
    """
    counted: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for name, parameter in model.named_parameters():
        form, num_values = _form_of(parameter)
        numbers = counted[part_of(name), form]
        numbers[0] += num_values
        numbers[1] += parameter_bytes(parameter)
    return tuple(PartWeights(*key, *numbers) for key, numbers in sorted(counted.items()))


def parameter_bytes(parameter: nn.Parameter) -> int:
    """Return the bytes of a parameter, with the scales of a quantised one."""
    num_bytes: int = parameter.numel() * parameter.element_size()
    state = getattr(parameter, "quant_state", None)
    if state is not None:
        nested = getattr(state, "state2", None)
        tensors = [state.absmax, getattr(nested, "absmax", None)]
        num_bytes += sum(one.numel() * one.element_size() for one in tensors if one is not None)
    scales = getattr(parameter, "SCB", None)
    if isinstance(scales, torch.Tensor):
        num_bytes += scales.numel() * scales.element_size()
    return num_bytes


def _form_of(parameter: nn.Parameter) -> tuple[str, int]:
    """Return the name of a parameter's form and its number of values."""
    state = getattr(parameter, "quant_state", None)
    if state is not None:
        return Linears.NF4, math.prod(state.shape)
    if parameter.dtype is torch.int8:
        return Linears.INT8, parameter.numel()
    return _FORMS.get(parameter.dtype, str(parameter.dtype)), parameter.numel()
