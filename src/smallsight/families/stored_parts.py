"""Counts stored weights by the part of the model that they belong to, which their names say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smallsight.families.tensor_files import RowTable
from smallsight.quant.bf16 import BF16Matrix
from smallsight.quant.bundle import stored_bytes
from smallsight.quant.forms import Stored, form_of

# What the names of stored weights begin with, in every family, and the part of the model that this is.
_PARTS = {
    "vision": "vision",
    "connector": "connector",
    "text": "text",
    "encoder": "text",
    "decoder": "text",
    "head": "head",
    "embeddings": "embeddings",
}
_OTHER = "other"  # moondream2's region head
_VALUE_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
_TABLE_FORMS = {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}
_VECTORS = "fp32"  # norms, biases and positions


@dataclass(frozen=True, slots=True)
class PartWeights:
    """The weights of one part of a model that are stored in one form, with the bytes of their scales.

    ``part`` is "vision", "connector", "text", "head", "embeddings" or "other". A matrix that is used twice,
    as embeddings and as head, counts in both.
    """

    part: str
    form: str
    num_parameters: int
    num_bytes: int


def count_parts(stored: Mapping[str, Stored], embeddings: RowTable | None = None) -> tuple[PartWeights, ...]:
    """Count weights by part and form; ``embeddings`` is a table that stays in the checkpoint's file."""
    counted: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for name in stored:
        one = stored[name]
        form = form_of(one)
        key = _PARTS.get(name.partition(".")[0], _OTHER), _VECTORS if form is None else form.name
        counted[key][0] += _num_values(one)
        counted[key][1] += stored_bytes(one)
    if embeddings is not None:
        num_bytes = embeddings.rows_bytes.nbytes
        table = counted["embeddings", _TABLE_FORMS[embeddings.kind]]
        table[0] += num_bytes // _VALUE_BYTES[embeddings.kind]
        table[1] += num_bytes
    return tuple(PartWeights(*key, *numbers) for key, numbers in sorted(counted.items()))


def _num_values(stored: Stored) -> int:
    form = form_of(stored)
    if form is not None:
        return form.shape[0] * form.shape[1]
    values = stored.bf16_bits if isinstance(stored, BF16Matrix) else stored
    return values.size if isinstance(values, np.ndarray) else 0
