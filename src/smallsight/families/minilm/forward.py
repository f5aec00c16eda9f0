"""The text embedder's network in numpy, for one text at a time: slower, but ready without a runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smallsight.families.minilm.config import MiniLMConfig
from smallsight.families.minilm.weights import FloatArray, LayerWeights, MappedMiniLMWeights, ScaleShift

# Abramowitz and Stegun, Handbook of Mathematical Functions, formula 7.1.26: an error of at most 1.5e-7.
_ERF_SCALE = 0.3275911
_ERF_TERMS = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def text_vector(
    config: MiniLMConfig, weights: MappedMiniLMWeights, token_ids: Sequence[int]
) -> NDArray[np.float32]:
    """Return the vector of one text of at most ``max_tokens`` tokens: float32 [D], of length 1."""
    num_tokens = len(token_ids)
    words_TD = weights.words.rows(np.asarray(token_ids, np.int64))
    hidden_TD = words_TD + weights.positions[:num_tokens] + weights.token_types[0]
    hidden_TD = _norm(weights.norm, hidden_TD, config.norm_epsilon)
    for layer in weights.layers:
        hidden_TD = _layer(config, layer, hidden_TD)
    mean_D = hidden_TD.mean(axis=0)
    vector_D: NDArray[np.float32] = (mean_D / max(float(np.linalg.norm(mean_D)), 1e-12)).astype(np.float32)
    return vector_D


def _layer(config: MiniLMConfig, layer: LayerWeights, hidden_TD: FloatArray) -> FloatArray:
    attended_TD = _linear(layer.attended, _attend(config, layer, hidden_TD))
    hidden_TD = _norm(layer.attended_norm, hidden_TD + attended_TD, config.norm_epsilon)
    narrow_TD = _linear(layer.narrow, _gelu(_linear(layer.widen, hidden_TD)))
    return _norm(layer.norm, hidden_TD + narrow_TD, config.norm_epsilon)


def _attend(config: MiniLMConfig, layer: LayerWeights, hidden_TD: FloatArray) -> FloatArray:
    num_tokens = len(hidden_TD)
    query_HTC, key_HTC, value_HTC = (
        _linear(part, hidden_TD).reshape(num_tokens, config.num_heads, -1).transpose(1, 0, 2)
        for part in (layer.query, layer.key, layer.value)
    )
    scores_HTT = query_HTC @ key_HTC.transpose(0, 2, 1) / np.float32(np.sqrt(query_HTC.shape[-1]))
    weights_HTT = np.exp(scores_HTT - scores_HTT.max(axis=-1, keepdims=True))
    weights_HTT /= weights_HTT.sum(axis=-1, keepdims=True)
    mixed: FloatArray = (weights_HTT @ value_HTC).transpose(1, 0, 2).reshape(num_tokens, -1)
    return mixed


def _linear(layer: ScaleShift, values_TI: FloatArray) -> FloatArray:
    result: FloatArray = values_TI @ layer.weight.T + layer.bias
    return result


def _norm(layer: ScaleShift, values_TD: FloatArray, epsilon: float) -> FloatArray:
    centred_TD = values_TD - values_TD.mean(axis=-1, keepdims=True)
    spread_T1 = np.sqrt((centred_TD**2).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    result: FloatArray = centred_TD / spread_T1 * layer.weight + layer.bias
    return result


def _gelu(values: FloatArray) -> FloatArray:
    """Return x times the share of a normal distribution that is below x."""
    scaled = np.abs(values) / np.float32(np.sqrt(2))
    step = 1 / (1 + np.float32(_ERF_SCALE) * scaled)
    polynomial: FloatArray = np.zeros_like(values)
    for term in reversed(_ERF_TERMS):
        polynomial = ((polynomial + np.float32(term)) * step).astype(np.float32)
    erf = np.sign(values) * (1 - polynomial * np.exp(-(scaled**2)))
    result: FloatArray = values * 0.5 * (1 + erf)
    return result
