"""How far a thing stands out among all things of a vocabulary: one score for every family of models."""

from __future__ import annotations

import numpy as np

HALF_SHARE = 1 / 8  # of the whole vocabulary, at which a score is 0.5


def scores_of(similarities_NT: np.ndarray, contrast: float, min_similarity: float) -> np.ndarray:
    """Return float32 [pictures, things], 0 to 1, from cosines.

    A model's own scale, ``contrast``, turns the cosines of a picture into shares of the vocabulary that add
    up to 1. A score is share / (share + 1/8): 0.5 for a thing that has an eighth of the whole alone, more
    for one that has more. What is less similar than the model asks for has the score 0, so that a picture
    that shows nothing of the vocabulary gets nothing.

    A SigLIP's bias is the same for all things, so it cancels out of the shares, and its effect is in the
    least similarity. Thus a SigLIP and a CLIP mean the same by a score.
    """
    logits_NT = contrast * similarities_NT.astype(np.float32)
    logits_NT -= logits_NT.max(axis=1, keepdims=True)
    shares_NT = np.exp(logits_NT)
    shares_NT /= shares_NT.sum(axis=1, keepdims=True)
    scores_NT = shares_NT / (shares_NT + HALF_SHARE)
    scores_NT[similarities_NT < min_similarity] = 0.0
    result_NT: np.ndarray = scores_NT
    return result_NT
