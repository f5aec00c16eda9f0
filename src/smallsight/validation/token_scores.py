"""How a variant's distributions over the next token agree with its base's, token by token of one answer."""

from __future__ import annotations

import numpy as np

from smallsight.validation.result import TokenScores

__all__ = ["NOT_FINITE_NATS", "score_tokens"]

# What a token counts for whose divergence is no finite number, because a broken model returned NaN or ruled
# out what its base expects. JSON has no infinity, and leaving the token out would favour the broken model.
NOT_FINITE_NATS = 1000.0
_VALUES_AT_ONCE = 1 << 20  # of each of a few arrays of 8 bytes


def score_tokens(base_TV: np.ndarray, variant_TV: np.ndarray) -> TokenScores:
    """Return how ``variant_TV`` agrees with ``base_TV``, log-probabilities float32 [tokens, vocabulary].

    Each row is normalised again in float64, because the rounding errors of float32 would otherwise be larger
    than the divergence of a good variant. Equal rows diverge by exactly 0. Without tokens, nothing disagrees.
    Raises ValueError if the shapes differ.
    """
    if base_TV.shape != variant_TV.shape or base_TV.ndim != 2:
        raise ValueError(
            f"two equal shapes [tokens, vocabulary] needed, not {base_TV.shape} and {variant_TV.shape}"
        )
    num_tokens, num_entries = base_TV.shape
    if num_tokens == 0:
        return TokenScores(num_tokens=0, agreement=1.0, kl_nats=0.0, max_kl_nats=0.0, first_divergence=None)
    rows = max(1, _VALUES_AT_ONCE // num_entries)
    agrees_T, kl_T = np.empty(num_tokens, dtype=bool), np.empty(num_tokens)
    for begin in range(0, num_tokens, rows):
        part = slice(begin, begin + rows)
        agrees_T[part], kl_T[part] = _compare(base_TV[part], variant_TV[part])
    first = int(np.argmin(agrees_T))
    return TokenScores(
        num_tokens=num_tokens,
        agreement=float(agrees_T.mean()),
        kl_nats=float(kl_T.mean()),
        max_kl_nats=float(kl_T.max()),
        first_divergence=None if agrees_T[first] else first,
    )


def _compare(base_RV: np.ndarray, variant_RV: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row whether both rank the same token first, and KL(base || variant) in nats."""
    is_broken_R = np.isnan(variant_RV).any(axis=1) | np.isnan(base_RV).any(axis=1)
    agrees_R = (base_RV.argmax(axis=1) == variant_RV.argmax(axis=1)) & ~is_broken_R
    with np.errstate(invalid="ignore", divide="ignore"):
        base_RV, variant_RV = _normalised(base_RV), _normalised(variant_RV)
        # Where the base is sure that a token does not come, its term is 0 whatever the variant says.
        terms_RV = np.where(np.isneginf(base_RV), 0.0, np.exp(base_RV) * (base_RV - variant_RV))
        kl_R = terms_RV.sum(axis=1)
    return agrees_R, np.where(np.isfinite(kl_R), np.maximum(kl_R, 0.0), NOT_FINITE_NATS)


def _normalised(values_RV: np.ndarray) -> np.ndarray:
    wide_RV = values_RV.astype(np.float64)
    wide_RV -= wide_RV.max(axis=1, keepdims=True)
    wide_RV -= np.log(np.exp(wide_RV).sum(axis=1, keepdims=True))
    return wide_RV
