"""The scores of an answer: how likely a model finds each of its tokens, and all others in its place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The distributions that a model has before each token of an answer, given the tokens before it.

    ``log_distributions``, float32 [tokens, vocabulary], are natural logarithms of the network's own
    probabilities, to which no sampling option, forced token or ban on repetition applies. ``top_ids`` are the
    likeliest tokens, one for each of ``token_ids``. The array cannot be written to.
    """

    token_ids: tuple[int, ...]
    top_ids: tuple[int, ...]
    log_distributions: NDArray[np.float32]

    @property
    def log_probs(self) -> NDArray[np.float32]:
        """The natural log-probability of each of ``token_ids``, float32 [tokens]."""
        chosen: NDArray[np.float32] = self.log_distributions[np.arange(len(self.token_ids)), self.token_ids]
        return chosen

    @property
    def mean_log_prob(self) -> float:
        """The mean of ``log_probs``."""
        return float(self.log_probs.mean(dtype=np.float64))

    @property
    def perplexity(self) -> float:
        """The exponential of the negative mean log-probability: 1 for an answer that the model is sure of."""
        return math.exp(-self.mean_log_prob)
