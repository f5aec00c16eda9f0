"""Binds a SigLIP's pooling head to the extension, over stored weights."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.families.siglip_tower import SigLIPPooling
from smallsight.machine.extension import NAME, find_extension
from smallsight.quant.bf16 import BF16Matrix, round_to_bf16
from smallsight.quant.forms import Stored, dense
from smallsight.quant.grouped import Code, GroupedMatrix, dequantize_groups
from smallsight.quant.int8_rows import Int8Rows

_MATRICES = ("attention", "output", "ffn_up", "ffn_down")


def pooling_obstacle() -> str:
    """Return why the extension computes no pooling head; empty if it does."""
    has_head = hasattr(find_extension().module, "PoolingHead")
    return "" if has_head else "the installed smallsight-kernels is older and has no pooling head"


def bind_pooling_head(pooling: SigLIPPooling, path: str = "auto") -> Any:  # noqa: ANN401 - the extension's
    """Copy the weights into the extension's head.

    Codes keep their values, everything else becomes bfloat16; the vectors that they multiply are float32.
    """
    heads, hidden = pooling.queries_HD.shape
    head = importlib.import_module(NAME).PoolingHead(
        hidden, pooling.ffn, heads, pooling.patches, pooling.norm_epsilon, path
    )
    head.set_queries(pooling.queries_HD)
    head.set_norm(*[_weight(pooling, f"ffn_norm.{kind}") for kind in ("weight", "bias")])
    for index, name in enumerate(_MATRICES):
        first = hidden if name == "attention" else 0  # its keys are part of the queries
        bias = _weight(pooling, f"{name}.bias")[-(hidden if first else 0) :]
        _set_matrix(head, index, pooling.stored[f"vision.pool.{name}.weight"], bias, first)
    return head


def _set_matrix(head: Any, index: int, stored: Stored, bias: NDArray[np.float32], first: int) -> None:  # noqa: ANN401
    codes_and_scales = _codes_of(stored)
    if codes_and_scales is not None:
        codes, scales = codes_and_scales
        head.set_codes(index, codes[first:], scales[first:], bias)
        return
    halves = stored if isinstance(stored, BF16Matrix) else round_to_bf16(dense(stored))
    head.set_halves(index, np.ascontiguousarray(halves.bf16_bits[first:]), bias)


def _codes_of(stored: Stored) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """Return int8 codes [outputs, inputs] and float32 scales [outputs, groups]; None without codes."""
    if isinstance(stored, Int8Rows):
        return np.ascontiguousarray(stored.codes), np.ascontiguousarray(stored.scales)
    if not isinstance(stored, GroupedMatrix) or stored.code not in (Code.INT8, Code.INT4):
        return None
    whole = dequantize_groups(replace(stored, scales=np.ones_like(stored.scales)))
    return whole.astype(np.int8), np.ascontiguousarray(stored.scales[..., 0], np.float32)


def _weight(pooling: SigLIPPooling, name: str) -> NDArray[np.float32]:
    return np.ascontiguousarray(dense(pooling.stored[f"vision.pool.{name}"]), np.float32)
