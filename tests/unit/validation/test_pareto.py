from __future__ import annotations

import random

import handmade_validation as handmade
from smallsight.catalog.entry import Verdict
from smallsight.validation.pareto import (
    Candidate,
    best_for_budgets,
    best_within,
    candidates_of,
    pareto_front,
)
from smallsight.validation.report_plots import divergence_pareto, quality_pareto


def candidate(name: str, num_bytes: int, quality: float, **more: object) -> Candidate:
    return Candidate(name, num_bytes, handmade.interval(quality), **more)  # type: ignore[arg-type]


def test_none_of_the_front_is_beaten_and_every_other_one_is():
    drawn = random.Random(3)
    for _ in range(200):
        all_of_them = [
            candidate(
                str(number), drawn.randint(1, 9), drawn.randint(1, 9) / 10, divergence=drawn.randint(1, 3)
            )
            for number in range(drawn.randint(1, 9))
        ]

        def beats(one: Candidate, other: Candidate) -> bool:
            no_worse = one.num_bytes <= other.num_bytes and not other.is_better_than(one)
            return no_worse and (one.num_bytes < other.num_bytes or one.is_better_than(other))

        front = pareto_front(all_of_them)
        assert not any(beats(one, other) for other in front for one in all_of_them)
        left_out = [one for one in all_of_them if one not in front]
        assert all(
            any(beats(one, other) or (one.num_bytes, one.quality, one.divergence) ==
                (other.num_bytes, other.quality, other.divergence) for one in front)
            for other in left_out
        )  # fmt: skip


def test_of_two_with_the_same_quality_the_lower_divergence_is_better():
    near, far = candidate("near", 5, 1.0, divergence=0.01), candidate("far", 5, 1.0, divergence=0.2)
    assert pareto_front([far, near]) == (near,)


def test_what_must_not_ship_is_best_for_no_budget():
    bad = candidate("bad", 10, 0.99, verdict=Verdict.DO_NOT_SHIP)
    good = candidate("good", 40, 0.97, verdict=Verdict.STABLE)
    assert best_within([bad, good], 30) is None
    assert best_within([bad, good], 40) == good
    budgets = best_for_budgets([bad, good], 100)
    assert [(one.share, one.best.name) for one in budgets] == [(0.4, "good")]


def test_an_exploration_is_drawn_with_every_scheme_in_its_place():
    exploration = handmade.exploration()
    candidates = candidates_of(exploration)
    plot = quality_pareto(candidates, exploration.base_weights_bytes)
    by_size = sorted(plot.markers, key=lambda one: one.x)
    assert [one.name for one in by_size] == [
        one.name for one in sorted(candidates, key=lambda one: one.num_bytes)
    ]
    best = max(candidates, key=lambda one: one.quality.mean)
    assert min(plot.markers, key=lambda one: one.y).name == best.name
    assert all(0 <= one.x <= 360 and 0 <= one.y <= plot.bottom for one in plot.markers)
    divergence = divergence_pareto(candidates, exploration.base_weights_bytes)
    assert divergence is not None
    assert min(divergence.markers, key=lambda one: one.y).name == best.name
