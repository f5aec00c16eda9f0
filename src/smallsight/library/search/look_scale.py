"""Tells pictures that show what words say from those that do not, by a scale measured on the library itself.

Cosines of pictures and words mean something else for every model, and some pictures are near to all words.
So words are compared with a bank of everyday words: a score says by how many standard deviations of the
bank's similarities to a picture the words are nearer to it than the bank is. A picture shows few of the
bank's words, so that the scores of the bank say how often words that a picture does not show reach a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from smallsight.library.search.text_index import Neighbour

FEWEST_PICTURES = 20  # for a scale to be measured
SAMPLED_PICTURES = 2_048
_LEVEL = 0.97  # of the bank's scores: a picture shows about three in a hundred of the bank's words at most
_EXPECTED_AT_BEST, _EXPECTED_BESIDES = 0.1, 0.3  # pictures that do not show it, in a search


@dataclass(frozen=True, slots=True, eq=False)
class LookScale:
    """The bank's vectors, float32 [B, D], and what was measured with them: see ``measure``.

    ``spread`` is the standard deviation of the scores of words that a picture does not show, judged by the
    greatest of them.
    """

    bank_BD: np.ndarray
    spread: float
    num_pictures: int

    def direction(self, query_D: np.ndarray) -> np.ndarray:
        """Return the unit vector that orders pictures by how much nearer the words are than the bank."""
        difference_D = query_D - self.bank_BD.mean(axis=0)
        length = float(np.linalg.norm(difference_D))
        return query_D if length == 0 else np.asarray(difference_D / length, np.float32)

    def scores(self, query_D: np.ndarray, vectors_ND: np.ndarray) -> np.ndarray:
        """Return the scores of words for pictures, [N]."""
        scores_N: np.ndarray = _scores(vectors_ND @ query_D, vectors_ND @ self.bank_BD.T) / self.spread
        return scores_N

    def shown(
        self,
        query_D: np.ndarray,
        near: Sequence[Neighbour],
        vectors: dict[int, np.ndarray],
        num_compared: int,
    ) -> list[Neighbour]:
        """Return those of the nearest pictures that seem to show what the words say, best first.

        ``vectors`` are those of ``near`` by the ids of the vectors; frames are pictures here.

        Where none of ``num_compared`` pictures shows it, one search in ten returns some. Otherwise one
        result in three has a picture that does not show it.
        """
        known = [one for one in near if one.chunk_id in vectors]
        if not known:
            return []
        vectors_ND = np.stack([vectors[one.chunk_id] for one in known])
        scores_N = self.scores(query_D, vectors_ND)
        if scores_N.max() < _least_score(_EXPECTED_AT_BEST, num_compared):
            return []
        least = _least_score(_EXPECTED_BESIDES, num_compared)
        similarities_N = vectors_ND @ query_D
        order = np.argsort(-scores_N, kind="stable").tolist()
        return [
            known[row]._replace(similarity=float(similarities_N[row]))
            for row in order
            if scores_N[row] >= least
        ]


def measured(bank_BD: np.ndarray, sample_ND: np.ndarray, num_pictures: int) -> LookScale:
    """Measure the scale on vectors of the library's pictures, float32 [N, D]."""
    similarities_NB = sample_ND @ bank_BD.T
    scores_NB = (similarities_NB - similarities_NB.mean(axis=1, keepdims=True)) / _deviation(similarities_NB)
    spread = float(np.quantile(scores_NB, _LEVEL)) / NormalDist().inv_cdf(_LEVEL)
    return LookScale(bank_BD, max(spread, 0.5), num_pictures)


def _scores(similarities_N: np.ndarray, bank_NB: np.ndarray) -> np.ndarray:
    scores_N: np.ndarray = (similarities_N - bank_NB.mean(axis=1)) / _deviation(bank_NB)[:, 0]
    return scores_N


def _deviation(bank_NB: np.ndarray) -> np.ndarray:
    """Return [N, 1]; never 0, so that a picture without a direction has no score but 0."""
    deviation_N1: np.ndarray = np.maximum(bank_NB.std(axis=1, keepdims=True), 1e-6)
    return deviation_N1


def _least_score(num_expected: float, num_compared: int) -> float:
    """Return the score that on average ``num_expected`` of the pictures reach that do not show the words."""
    return NormalDist().inv_cdf(1 - min(num_expected / max(num_compared, 1), 0.5))
