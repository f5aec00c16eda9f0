"""Scores of suggestions: what 0.5 means, and that they mean the same for every family."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.library.suggesting.scores import scores_of

CONTRAST = 100.0


def cosines(*shares: float) -> np.ndarray:
    """Return cosines [1, T] at which the things have these shares of the vocabulary."""
    return np.array([np.log(shares)], np.float32) / CONTRAST


def test_half_is_an_eighth_of_the_vocabulary():
    scores = scores_of(cosines(1 / 8, *[1 / 8] * 7), CONTRAST, -1.0)
    assert scores == pytest.approx(np.full((1, 8), 0.5), abs=1e-4)
    alone = scores_of(cosines(0.98, *[0.02 / 600] * 600), CONTRAST, -1.0)
    assert alone[0, 0] == pytest.approx(0.98 / (0.98 + 1 / 8), abs=1e-3)
    assert alone[0, 1:].max() < 0.001


def test_a_bias_changes_nothing():
    """SigLIP's bias is added to every product, as a constant is to every cosine here."""
    shares = np.random.default_rng(1).dirichlet(np.ones(40)).tolist()
    without = scores_of(cosines(*shares), CONTRAST, -1.0)
    np.testing.assert_allclose(scores_of(cosines(*shares) + 0.1, CONTRAST, -1.0), without, atol=1e-3)


def test_what_is_less_similar_than_the_model_asks_for_has_no_score():
    similarities = np.array([[0.30, 0.19], [0.10, 0.05]], np.float32)
    scores = scores_of(similarities, CONTRAST, 0.2)
    assert scores[0, 0] > 0.8
    assert scores[0, 1] == scores[1, 0] == scores[1, 1] == 0


def test_a_picture_of_nothing_in_the_vocabulary_gets_low_scores():
    """All things are about as similar: each has a small share."""
    noise = np.random.default_rng(2).normal(0.2, 0.003, (20, 600)).astype(np.float32)
    assert scores_of(noise, CONTRAST, -1.0).max() < 0.05
