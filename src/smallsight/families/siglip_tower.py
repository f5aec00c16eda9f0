"""A SigLIP tower's and its pooling head's weights, for an engine that computes them without a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.forms import Stored


@dataclass(frozen=True)
class SigLIPSizes:
    """The sizes of an encoder with layer norms, full attention and GELU in its tanh form.

    The connector concatenates squares of ``pixel_shuffle`` x ``pixel_shuffle`` patches and projects them; 0
    if there is none, and the output is the normalised hidden states.
    """

    layers: int
    hidden: int
    heads: int
    ffn: int
    patches: int
    patch_width: int
    norm_epsilon: float
    pixel_shuffle: int = 0


@dataclass(frozen=True, eq=False)
class SigLIPTower:
    """Sizes and stored weights; the names are those of ``families/smolvlm/stored.py``.

    ``read_matrices`` yields layer, name and float32 values of all matrices as the checkpoint has them, for
    an engine that rounds them in its own way; None if they should be as they are stored.
    """

    sizes: SigLIPSizes
    stored: Mapping[str, Stored]
    read_matrices: Callable[[], Iterator[tuple[int, str, NDArray[np.float32]]]] | None = None

    NORMS = ("attention_norm.weight", "attention_norm.bias", "ffn_norm.weight", "ffn_norm.bias")
    MATRICES = ("attention", "output", "ffn_up", "ffn_down")

    def layer(self, index: int, name: str) -> Stored:
        """Return a weight of one layer."""
        return self.stored[f"vision.layers.{index}.{name}"]


@dataclass(frozen=True, eq=False)
class SigLIPPooling:
    """The pooling head after a tower, whose stored weights have names from ``vision.pool`` on.

    Its one query is the same for all pictures: ``queries_HD``, float32 [heads, hidden], scaled, are what each
    head multiplies normalised hidden states by. The bias of keys cancels. The rows of
    ``vision.pool.attention`` behind those of the keys are the values'.
    """

    queries_HD: NDArray[np.float32]
    ffn: int
    patches: int
    norm_epsilon: float
    stored: Mapping[str, Stored]
