"""Multiplies rows by stored matrices, one row at a time, so that a result never depends on other rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.forms import Stored, dense


class DenseWeights:
    """Stored weights by name, dequantised to float32."""

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._dense = {name: dense(one) for name, one in stored.items()}

    def vector(self, name: str) -> NDArray[np.float32]:
        """Return a weight, float32."""
        return self._dense[name]

    def linear(self, name: str, rows_TI: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``rows @ weight.T + bias``, float32 [rows, outputs]; the bias is optional."""
        weight_OI, bias_O = self._dense[f"{name}.weight"], self._dense.get(f"{name}.bias")
        product_TO = np.stack([weight_OI @ row_I for row_I in rows_TI])
        return product_TO if bias_O is None else product_TO + bias_O


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the softmax along the last axis."""
    raised: NDArray[np.float32] = np.exp(scores - scores.max(axis=-1, keepdims=True))
    total: NDArray[np.float32] = raised / raised.sum(axis=-1, keepdims=True)
    return total
