"""The weights of a SigLIP's or CLIP's tower and pooling head, for an engine that needs no graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallsight.graph.activation import Activation
from smallsight.quant.forms import Stored


@dataclass(frozen=True)
class SigLIPSizes:
    """The sizes of an encoder with layer norms and full attention.

    The connector concatenates squares of ``pixel_shuffle`` x ``pixel_shuffle`` patches and projects them; 0
    if there is none, and the output is the normalised hidden states. With ``has_first_token`` it is a CLIP's:
    a token comes before the patches, a norm before the layers, and the output is the token's projection.
    """

    layers: int
    hidden: int
    heads: int
    ffn: int
    patches: int
    patch_width: int
    norm_epsilon: float
    pixel_shuffle: int = 0
    activation: Activation = "gelu_pytorch_tanh"
    has_first_token: bool = False

    @property
    def tokens(self) -> int:
        """The patches, and the token before them."""
        return self.patches + self.has_first_token


@dataclass(frozen=True, eq=False)
class SigLIPTower:
    """Sizes and stored weights, named as in ``families/smolvlm/stored.py`` or ``families/clip/graphs.py``.

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
