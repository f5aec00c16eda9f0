"""Agreement and divergence of two models' distributions, against sums written out by hand."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from smallsight.validation import token_scores
from smallsight.validation.token_scores import NOT_FINITE_NATS, score_tokens


def log_rows(*rows):
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows, dtype=np.float32))


def random_rows(num_tokens, num_entries, seed):
    logits = np.random.default_rng(seed).normal(scale=4, size=(num_tokens, num_entries))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def test_divergence_is_the_sum_over_the_whole_vocabulary():
    scores = score_tokens(log_rows([0.5, 0.25, 0.25]), log_rows([0.25, 0.5, 0.25]))
    assert scores.kl_nats == pytest.approx(0.5 * math.log(2) - 0.25 * math.log(2), abs=1e-7)
    assert (scores.num_tokens, scores.agreement, scores.first_divergence) == (1, 0.0, 0)


def test_random_rows_have_the_divergence_that_python_computes():
    base, variant = random_rows(7, 50, 1), random_rows(7, 50, 2)
    by_hand = []
    for first, second in zip(base.tolist(), variant.tolist(), strict=True):
        p, q = [math.exp(one) for one in first], [math.exp(one) for one in second]
        p, q = [one / sum(p) for one in p], [one / sum(q) for one in q]
        by_hand.append(math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
    scores = score_tokens(base, variant)
    assert scores.kl_nats == pytest.approx(sum(by_hand) / 7, rel=1e-12)
    assert scores.max_kl_nats == pytest.approx(max(by_hand), rel=1e-12)
    same = [np.argmax(a) == np.argmax(b) for a, b in zip(base, variant, strict=True)]
    assert scores.agreement == sum(same) / 7


def test_equal_distributions_diverge_by_exactly_nothing():
    rows = random_rows(40, 999, 3)
    scores = score_tokens(rows, rows.copy())
    assert (scores.agreement, scores.kl_nats, scores.max_kl_nats, scores.first_divergence) == (
        1.0,
        0.0,
        0.0,
        None,
    )


def test_the_first_divergence_is_the_first_token_that_is_ranked_differently():
    base = log_rows([0.9, 0.1], [0.8, 0.2], [0.7, 0.3])
    scores = score_tokens(base, log_rows([0.6, 0.4], [0.2, 0.8], [0.1, 0.9]))
    assert (scores.first_divergence, scores.agreement) == (1, pytest.approx(1 / 3))


def test_tokens_that_the_base_rules_out_cost_nothing():
    scores = score_tokens(log_rows([0.5, 0.5, 0.0]), log_rows([0.25, 0.25, 0.5]))
    assert scores.kl_nats == pytest.approx(math.log(2), abs=1e-7)


@pytest.mark.parametrize(
    "broken",
    [log_rows([0.0, 1.0]), np.full((1, 2), np.nan, dtype=np.float32), np.full((1, 2), -np.inf, np.float32)],
)
def test_a_broken_distribution_counts_as_a_large_finite_divergence(broken):
    scores = score_tokens(log_rows([0.6, 0.4]), broken)
    assert scores.kl_nats == scores.max_kl_nats == NOT_FINITE_NATS


def test_a_model_that_returns_no_numbers_agrees_with_nobody():
    nothing = np.full((2, 3), np.nan, dtype=np.float32)
    assert score_tokens(nothing, nothing).agreement == 0.0


def test_the_parts_it_computes_in_do_not_change_the_scores(monkeypatch):
    base, variant = random_rows(23, 31, 4), random_rows(23, 31, 5)
    whole = score_tokens(base, variant)
    monkeypatch.setattr(token_scores, "_VALUES_AT_ONCE", 70)
    parts = score_tokens(base, variant)
    assert parts == whole


def test_memory_does_not_grow_with_the_number_of_tokens():
    base = np.zeros((400, 50_000), dtype=np.float32)  # 80 MB, 160 in float64
    tracemalloc.start()
    score_tokens(base, base)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_no_tokens_and_other_shapes():
    nothing = np.zeros((0, 5), dtype=np.float32)
    assert score_tokens(nothing, nothing).num_tokens == 0
    with pytest.raises(ValueError, match="two equal shapes"):
        score_tokens(np.zeros((2, 5), np.float32), np.zeros((3, 5), np.float32))
