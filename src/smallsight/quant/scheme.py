"""Quantisation schemes: the stored form of each part of a network, and how schemes are written as text.

Lookup tables have no form: they stay in the checkpoint, memory-mapped, and only the rows in use are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import ArgumentError, ModelNotRunnableError
from smallsight.quant.forms import Storage, Stored
from smallsight.quant.int8_rows import Int8Rows, quantize_rows

EmbedderPrecision = Literal["fp32", "int8"]  # the text embedder's
ArithmeticType = Literal["f32", "bf16", "f16"]
_ARITHMETICS: Mapping[str, ArithmeticType] = {"f32": "f32", "bf16": "bf16"}
_ARITHMETIC = "arithmetic"
_EMBEDDINGS = "embeddings"


class Module(StrEnum):
    """A part of a vision-language model whose linear layers have the same form."""

    VISION = "vision"
    CONNECTOR = "connector"
    TEXT = "text"
    HEAD = "head"


@dataclass(frozen=True)
class Scheme:
    """A form for each module, and the number type of the arithmetic around quantised layers.

    ``name`` is the precision it is based on. Families adapt that precision to their networks, but not the
    modules in ``chosen``, whose forms a person has named.
    """

    name: str
    modules: Mapping[Module, Storage]
    arithmetic: ArithmeticType
    chosen: frozenset[Module] = field(default_factory=frozenset)

    def __str__(self) -> str:
        """Return the text that ``parse_scheme`` reads; the name alone for an unchanged precision."""
        parts = [self.name]
        parts += [f"{module}={self.modules[module]}" for module in Module if module in self.chosen]
        if self.arithmetic != READABLE_FOR_TORCH[self.name].arithmetic:
            parts.append(f"{_ARITHMETIC}={self.arithmetic}")
        return "; ".join(parts)

    @property
    def identity(self) -> str:
        """Everything that determines the stored weights, as one line."""
        forms = (f"{module}={form}" for module, form in self.modules.items())
        chosen = [f"chosen={module}" for module in Module if module in self.chosen]
        return " ".join([self.arithmetic, *forms, *chosen])

    def store(self, matrix: NDArray[np.float32], module: Module) -> Stored:
        """Convert a linear layer's weight, float32 [out, in], to the form of its module."""
        return self.modules[module].store(matrix)

    def adapted(self, forms: Mapping[Module, Storage]) -> Scheme:
        """Return the scheme with a family's forms for these modules, except where they were chosen."""
        kept = {module: form for module, form in forms.items() if module not in self.chosen}
        return Scheme(self.name, {**self.modules, **kept}, self.arithmetic, self.chosen)


def _everywhere(form: Storage) -> Mapping[Module, Storage]:
    return dict.fromkeys(Module, form)


# The output head keeps 8 bits in int4, because all logits come from it.
SCHEMES: Mapping[str, Scheme] = {
    "fp32": Scheme("fp32", _everywhere(Storage.FP32), "f32"),
    "bf16": Scheme("bf16", _everywhere(Storage.BF16), "bf16"),
    "int8": Scheme("int8", _everywhere(Storage.INT8_GROUPS), "bf16"),
    "int4": Scheme("int4", {**_everywhere(Storage.INT4_SEARCHED), Module.HEAD: Storage.INT8_GROUPS}, "bf16"),
}
# The torch engine has the recipes of bitsandbytes instead: LLM.int8, and NF4 with double quantisation.
TORCH_SCHEMES: Mapping[str, Scheme] = {
    "fp32": SCHEMES["fp32"],
    "bf16": SCHEMES["bf16"],
    "fp16": Scheme("fp16", _everywhere(Storage.BF16), "f16"),
    "int8": Scheme("int8", _everywhere(Storage.INT8_ROWS), "bf16"),
    "nf4": Scheme("nf4", {**_everywhere(Storage.NF4_DOUBLE), Module.HEAD: Storage.BF16}, "bf16"),
}
# Every text that can be read for that engine; what it does not support it refuses with a reason.
READABLE_FOR_TORCH: Mapping[str, Scheme] = {**SCHEMES, **TORCH_SCHEMES}


def scheme_named(precision: str, schemes: Mapping[str, Scheme] = SCHEMES) -> Scheme:
    """Return the scheme of a precision; raises ModelNotRunnableError for an unsupported one."""
    if precision not in schemes:
        raise ModelNotRunnableError(
            f"The engine does not support {precision!r}.",
            hint=f"load the base model in {', '.join(schemes)}.",
        )
    return schemes[precision]


def parse_scheme(text: str, schemes: Mapping[str, Scheme] = SCHEMES) -> Scheme:
    """Return the scheme of a text such as "int4; text=int4-groups-32-searched; arithmetic=f32".

    It begins with a precision; modules that are not named have its forms. Raises ArgumentError.
    """
    name, *choices = (part.strip() for part in text.split(";"))
    if name not in schemes:
        raise ArgumentError(
            f"Unknown precision {name!r} in the scheme {text!r}.",
            hint=f"begin with {', '.join(schemes)}, then name modules: int4; text=int4-groups-32.",
        )
    base = schemes[name]
    chosen: dict[str, str] = {}
    for choice in filter(None, choices):
        key, _, value = (part.strip() for part in choice.partition("="))
        if key in chosen:
            raise ArgumentError(f"The scheme names {key} twice.", hint="give each part one form.")
        chosen[key] = value
    given = chosen.pop(_ARITHMETIC, None)
    arithmetic = base.arithmetic if given is None else _parse_arithmetic(given)
    forms = {_parse_module(key): _parse_form(key, value) for key, value in chosen.items()}
    return Scheme(name, {**base.modules, **forms}, arithmetic, frozenset(forms))


def _parse_module(key: str) -> Module:
    if key == _EMBEDDINGS:
        raise ArgumentError(
            "A scheme cannot choose a form for embeddings.",
            hint="their table stays in the model's file, and only the rows in use are in memory.",
        )
    try:
        return Module(key)
    except ValueError as error:
        raise ArgumentError(
            f"Unknown part {key!r} in a scheme.", hint=f"use {', '.join([*Module, _ARITHMETIC])}."
        ) from error


def _parse_form(key: str, value: str) -> Storage:
    try:
        return Storage(value)
    except ValueError as error:
        raise ArgumentError(
            f"Unknown form {value!r} for {key}.", hint=f"use {', '.join(Storage)}."
        ) from error


def _parse_arithmetic(value: str) -> ArithmeticType:
    if value not in _ARITHMETICS:
        raise ArgumentError(
            f"Unknown arithmetic {value!r} in a scheme.", hint=f"use {' or '.join(_ARITHMETICS)}."
        )
    return _ARITHMETICS[value]


def store_matrix(matrix: NDArray[np.float32], precision: EmbedderPrecision) -> NDArray[np.float32] | Int8Rows:
    """Return the matrix unchanged (fp32) or quantised to int8 rows."""
    return quantize_rows(matrix) if precision == "int8" else matrix
