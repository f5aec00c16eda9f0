"""Intervals of means."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smallsight.validation import bootstrap
from smallsight.validation.bootstrap import bootstrap_interval


def test_the_interval_is_the_same_every_time():
    values = np.random.default_rng(3).random(50).tolist()
    assert bootstrap_interval(values) == bootstrap_interval(values)


def test_the_interval_is_that_of_theory_for_many_values():
    values = np.random.default_rng(5).normal(0.9, 0.1, 400)
    found = bootstrap_interval(values.tolist())
    error = 1.96 * values.std() / math.sqrt(400)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + error, abs=0.1 * error)


def test_nineteen_of_twenty_intervals_hold_the_true_mean():
    random = np.random.default_rng(7)
    intervals = [bootstrap_interval(random.exponential(size=60).tolist()) for _ in range(100)]
    assert 85 <= sum(one.low <= 1.0 <= one.high for one in intervals) <= 99


def test_less_confidence_is_narrower():
    values = np.random.default_rng(3).random(50).tolist()
    wide, narrow = bootstrap_interval(values), bootstrap_interval(values, confidence=0.5)
    assert wide.low < narrow.low < narrow.mean < narrow.high < wide.high


def test_equal_values_have_an_interval_without_width():
    found = bootstrap_interval([0.1] * 7)
    assert (found.mean, found.low, found.high) == (0.1, 0.1, 0.1)


def test_the_parts_it_computes_in_do_not_change_the_interval(monkeypatch):
    values = np.random.default_rng(3).random(50).tolist()
    whole = bootstrap_interval(values)
    monkeypatch.setattr(bootstrap, "_VALUES_AT_ONCE", 999)
    assert bootstrap_interval(values) == whole


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap_interval([])
