"""Reads coordinates from moondream2's hidden states, and encodes them as the decoder's next input.

The decoders of numbers determine the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.place_detector import Number
from smallsight.families.moondream2.region import NumberEncoder, NumberKind

NumberDecoder = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # from float32 [1, hidden] to [1, bins]


class RegionHead:
    """A decoder for each kind of number, with the encoders. Used by one thread at a time.

    Vectors are decoded one at a time, so that a result does not depend on other requests. ``make`` prepares
    a decoder when it is first needed: without detection it takes no memory.
    """

    def __init__(
        self, make: Callable[[NumberKind], NumberDecoder], encoders: Mapping[NumberKind, NumberEncoder]
    ) -> None:
        self._make, self._encoders = make, encoders
        self._decoders: dict[NumberKind, NumberDecoder] = {}

    def read_coordinate(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return x or y: the index of the likeliest bin divided by the number of bins."""
        return self._read("coordinate", hidden_D, 1)

    def read_size(self, hidden_D: NDArray[np.float32]) -> Number:
        """Return width and height."""
        return self._read("size", hidden_D, 2)

    def _read(self, kind: NumberKind, hidden_D: NDArray[np.float32], count: int) -> Number:
        if kind not in self._decoders:
            self._decoders[kind] = self._make(kind)
        return _number(self._decoders[kind](hidden_D[None]).reshape(count, -1), self._encoders[kind])


def _number(scores_NB: NDArray[np.float32], encoder: NumberEncoder) -> Number:
    num_bins = scores_NB.shape[1]
    bins = tuple(int(one) for one in scores_NB.argmax(axis=1))
    values = tuple(one / num_bins for one in bins)
    return Number(values, bins, num_bins, encoder.encode(values))
