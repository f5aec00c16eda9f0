"""The stored form of each part of a network, by precision.

Forms differ per module: lookup tables have none (they stay in the checkpoint, memory-mapped), and the output
head keeps 8 bits in int4, because all logits come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import ModelNotRunnableError
from smallsight.quant.bf16 import BF16Matrix, round_to_bf16
from smallsight.quant.grouped import GroupedMatrix, group_size, quantize_groups
from smallsight.quant.int8_rows import Int8Rows, quantize_rows

WIDE_GROUP = 128
EmbedderPrecision = Literal["fp32", "int8"]  # the text embedder's
Stored = NDArray[np.float32] | Int8Rows | GroupedMatrix | BF16Matrix


class Storage(StrEnum):
    """A stored form of a matrix."""

    FP32 = "fp32"
    BF16 = "bf16"
    INT8_ROWS = "int8-rows"
    INT8_GROUPS = "int8-groups"
    INT8_WIDE_GROUPS = "int8-groups-128"
    INT4_GROUPS = "int4-groups"


class Module(StrEnum):
    """A part of a vision-language model whose linear layers have the same form."""

    VISION = "vision"
    CONNECTOR = "connector"
    TEXT = "text"
    HEAD = "head"


@dataclass(frozen=True)
class Scheme:
    """A form for each module, and the number type of the arithmetic around quantised layers."""

    name: str
    modules: Mapping[Module, Storage]
    arithmetic: Literal["f32", "bf16"]

    @property
    def identity(self) -> str:
        """Everything that determines the stored weights, as one line."""
        return " ".join([self.arithmetic, *(f"{module}={form}" for module, form in self.modules.items())])

    def store(self, matrix: NDArray[np.float32], module: Module) -> Stored:
        """Convert a linear layer's weight, float32 [out, in], to the form of its module."""
        return STORE[self.modules[module]](matrix)


@dataclass(frozen=True, slots=True)
class StoredForm:
    """A stored matrix's form and its shape [outputs, inputs]."""

    name: str
    shape: tuple[int, int]


def form_of(stored: Stored) -> StoredForm | None:
    """Return a matrix's form and shape; None for vectors."""
    if isinstance(stored, GroupedMatrix):
        return StoredForm(f"int{stored.bits}-groups-{stored.group}", stored.shape)
    name, values = (
        ("int8-rows", stored.codes)
        if isinstance(stored, Int8Rows)
        else ("bf16", stored.bf16_bits)
        if isinstance(stored, BF16Matrix)
        else ("fp32", stored)
    )
    return StoredForm(name, (values.shape[0], values.shape[1])) if values.ndim == 2 else None


def first_rows(stored: Stored, num_rows: int) -> Stored:
    """Return views of a matrix's first ``num_rows`` outputs."""
    if isinstance(stored, GroupedMatrix):
        return GroupedMatrix(stored.codes[:num_rows], stored.scales[:num_rows], stored.bits, stored.group)
    if isinstance(stored, Int8Rows):
        return Int8Rows(stored.codes[:num_rows], stored.scales[:num_rows])
    if isinstance(stored, BF16Matrix):
        return BF16Matrix(stored.bf16_bits[:num_rows])
    return stored[:num_rows]


def _everywhere(form: Storage) -> Mapping[Module, Storage]:
    return dict.fromkeys(Module, form)


SCHEMES: Mapping[str, Scheme] = {
    "fp32": Scheme("fp32", _everywhere(Storage.FP32), "f32"),
    "bf16": Scheme("bf16", _everywhere(Storage.BF16), "bf16"),
    "int8": Scheme("int8", _everywhere(Storage.INT8_GROUPS), "bf16"),
    "int4": Scheme("int4", {**_everywhere(Storage.INT4_GROUPS), Module.HEAD: Storage.INT8_GROUPS}, "bf16"),
}


def scheme_named(precision: str) -> Scheme:
    """Return the scheme of a precision; raises ModelNotRunnableError for an unsupported one."""
    if precision not in SCHEMES:
        raise ModelNotRunnableError(
            f"No engine supports {precision!r}.", hint=f"load the base model in {', '.join(SCHEMES)}."
        )
    return SCHEMES[precision]


def store_matrix(matrix: NDArray[np.float32], precision: EmbedderPrecision) -> NDArray[np.float32] | Int8Rows:
    """Return the matrix unchanged (fp32) or quantised to int8 rows."""
    return quantize_rows(matrix) if precision == "int8" else matrix


def _in_groups(bits: Literal[8, 4], largest: int = 64) -> Callable[[NDArray[np.float32]], Stored]:
    def store(matrix: NDArray[np.float32]) -> Stored:
        group = group_size(matrix.shape[1], largest)
        return quantize_rows(matrix) if group is None else quantize_groups(matrix, bits, group)

    return store


def _unchanged(matrix: NDArray[np.float32]) -> Stored:
    return matrix


STORE: Mapping[Storage, Callable[[NDArray[np.float32]], Stored]] = {
    Storage.FP32: _unchanged,
    Storage.BF16: round_to_bf16,
    Storage.INT8_ROWS: quantize_rows,
    Storage.INT8_GROUPS: _in_groups(8),
    Storage.INT8_WIDE_GROUPS: _in_groups(8, WIDE_GROUP),
    Storage.INT4_GROUPS: _in_groups(4),
}
