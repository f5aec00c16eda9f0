"""Encodes coordinates and sizes as inputs of the decoder.

Source: vikhyat/moondream 8ac77eb, torch/region.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.forms import Stored

NumberKind = Literal["coordinate", "size"]
KINDS: tuple[NumberKind, ...] = ("coordinate", "size")


@dataclass(frozen=True, eq=False)
class NumberEncoder:
    """Encodes one or two numbers with learnt Fourier features and a linear layer.

    Shapes: ``frequencies`` [numbers, waves], ``weight`` [hidden, 2 * waves], ``bias`` [hidden].
    """

    frequencies: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def encode(self, numbers: Sequence[float]) -> NDArray[np.float32]:
        """Return the decoder's input, float32 [hidden], for numbers from 0 to 1."""
        angles = (np.float32(2 * np.pi) * np.array(numbers, np.float32)) @ self.frequencies
        waves = np.concatenate([np.cos(angles), np.sin(angles)])
        encoded: NDArray[np.float32] = self.weight @ waves + self.bias
        return encoded


def encoder_of(stored: Mapping[str, Stored], name: NumberKind) -> NumberEncoder:
    """Return the encoder of one kind of number from the stored weights."""
    parts = (f"{name}_frequencies", f"{name}_encoder.weight", f"{name}_encoder.bias")
    return NumberEncoder(*(np.asarray(stored[f"region.{part}"], np.float32) for part in parts))
