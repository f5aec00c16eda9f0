"""Runs moondream2's region head: a hidden state in, coordinates and the decoder's next input out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.engine.decoding.place_detector import Number
from smallsight.families.moondream2.region import NumberEncoder, NumberKind
from smallsight.graph.compiled import CompiledNetwork


class RegionHead:
    """An inference request for each number decoder, with the encoders. Used by one thread at a time.

    Vectors are decoded one at a time, so that a result does not depend on other requests. ``make`` compiles a
    decoder when it is first needed: without detection it takes no memory.
    """

    def __init__(
        self, make: Callable[[NumberKind], CompiledNetwork], encoders: Mapping[NumberKind, NumberEncoder]
    ) -> None:
        self._make, self._encoders = make, encoders
        self._requests: dict[NumberKind, ov.InferRequest] = {}

    def read_coordinate(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return x or y: the index of the likeliest bin divided by the number of bins."""
        return self._read("coordinate", hidden_D, 1)

    def read_size(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return width and height."""
        return self._read("size", hidden_D, 2)

    def _read(self, kind: NumberKind, hidden_D: NDArray[np.float32], count: int) -> Number:
        if kind not in self._requests:
            self._requests[kind] = self._make(kind).model.create_infer_request()
        request = self._requests[kind]
        request.infer([hidden_D[None]])
        return _number(request.get_output_tensor(0).data.reshape(count, -1), self._encoders[kind])


def _number(scores_NB: NDArray[np.float32], encoder: NumberEncoder) -> Number:
    num_bins = scores_NB.shape[1]
    bins = tuple(int(one) for one in scores_NB.argmax(axis=1))
    values = tuple(one / num_bins for one in bins)
    return Number(values, bins, num_bins, encoder.encode(values))
