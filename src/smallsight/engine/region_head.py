"""Runs moondream2's head for places: one vector of the decoder in, numbers and the decoder's next input
out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.place_finder import Number
from smallsight.families.moondream2.region import NumberEncoder
from smallsight.graph.compiled import CompiledNetwork


class RegionHead:
    """One request of each decoder of numbers, with their encoders. Used by one thread at a time.

    Vectors are read one at a time, so that a number does not depend on what else is under way.
    """

    def __init__(
        self,
        coordinate: CompiledNetwork,
        size: CompiledNetwork,
        coordinate_encoder: NumberEncoder,
        size_encoder: NumberEncoder,
    ) -> None:
        self._networks = (coordinate, size)
        self._coordinate = coordinate.model.create_infer_request()
        self._size = size.model.create_infer_request()
        self._coordinate_encoder = coordinate_encoder
        self._size_encoder = size_encoder

    def read_coordinate(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return x or y: the likeliest bin's part of all bins."""
        self._coordinate.infer([hidden_D[None]])
        return _number(self._coordinate.get_output_tensor(0).data, self._coordinate_encoder)

    def read_size(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return width and height."""
        self._size.infer([hidden_D[None]])
        return _number(self._size.get_output_tensor(0).data.reshape(2, -1), self._size_encoder)


def _number(scores_NB: NDArray[np.float32], encoder: NumberEncoder) -> Number:
    num_bins = scores_NB.shape[1]
    bins = tuple(int(one) for one in scores_NB.argmax(axis=1))
    values = tuple(one / num_bins for one in bins)
    return Number(values, bins, num_bins, encoder.encode(values))
