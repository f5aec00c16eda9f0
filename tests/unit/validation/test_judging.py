"""Verdicts: the rule, its reasons, and whether the pictures are enough."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pydantic import ValidationError

from smallsight.catalog.entry import Verdict
from smallsight.settings import ValidationSettings
from smallsight.validation.bootstrap import bootstrap_interval
from smallsight.validation.judging import judge
from smallsight.validation.result import Interval, Summary

RULE = ValidationSettings()
ZERO = Interval(mean=0.0, low=0.0, high=0.0)


def summary_of(num_exact, qualities, *, num_gibberish=0, num_problems=0):
    """Return the summary of as many pictures as there are qualities, of which the first are exact."""
    num = len(qualities)
    exact = bootstrap_interval([1.0] * num_exact + [0.0] * (num - num_exact))
    return Summary(
        num_pictures=num,
        num_problems=num_problems,
        num_gibberish=num_gibberish,
        exact=exact,
        quality=bootstrap_interval(qualities),
        bleu=ZERO,
        chrf=ZERO,
        similarity=None,
        agreement=None,
        kl_nats=None,
    )


def about(quality, num=200, spread=0.02):
    """Return qualities whose mean is exactly ``quality``."""
    steps = np.linspace(-spread, spread, num)
    return (quality + steps).tolist()


@pytest.mark.parametrize(
    ("num_exact", "quality", "verdict"),
    [
        (200, 1.0, Verdict.STABLE),
        (180, 0.5, Verdict.STABLE),
        (0, 0.97, Verdict.STABLE),
        (100, 0.93, Verdict.EXPERIMENTAL),
        (0, 0.87, Verdict.EXPERIMENTAL),
        (100, 0.83, Verdict.DO_NOT_SHIP),
        (0, 0.1, Verdict.DO_NOT_SHIP),
    ],
)
def test_the_verdict_follows_exact_answers_and_quality(num_exact, quality, verdict):
    found = judge(summary_of(num_exact, about(quality)), RULE)
    assert (found.verdict, found.is_decided) == (verdict, True)


@pytest.mark.parametrize(
    ("num_exact", "quality", "verdict"),
    [
        (14, 0.5, Verdict.STABLE),
        (13, 0.5, Verdict.DO_NOT_SHIP),
        (0, 0.95, Verdict.STABLE),
        (0, 0.9499, Verdict.EXPERIMENTAL),
        (0, 0.85, Verdict.EXPERIMENTAL),
        (0, 0.8499, Verdict.DO_NOT_SHIP),
    ],
)
def test_a_threshold_itself_is_reached(num_exact, quality, verdict):
    assert judge(summary_of(num_exact, [quality] * 20), RULE).verdict == verdict


def test_gibberish_outweighs_everything_else():
    found = judge(summary_of(180, about(0.99), num_gibberish=20), RULE)
    assert (found.verdict, found.is_decided) == (Verdict.DO_NOT_SHIP, True)
    assert found.reasons == (
        "20 answers of 200 read as gibberish where the base's do not (2 % are allowed).",
    )


def test_little_gibberish_is_named_and_does_not_decide():
    found = judge(summary_of(200, about(0.99, num=200), num_gibberish=1), RULE)
    assert (found.verdict, found.is_decided) == (Verdict.STABLE, True)
    assert found.reasons[0].startswith("1 answer of 200 reads as gibberish")


def test_one_gibberish_answer_among_few_leaves_the_verdict_open():
    found = judge(summary_of(25, about(0.99, num=25), num_gibberish=1), RULE)
    assert (found.verdict, found.is_decided) == (Verdict.STABLE, False)
    assert any("of the answers are gibberish, and 2 % are allowed" in one for one in found.reasons)


@pytest.mark.parametrize(
    ("num_exact", "quality", "reasons"),
    [
        (
            180,
            0.97,
            (
                "90.0 % of the answers equal the base's; 70 % are enough.",
                "The mean quality is 97.0 %; 95 % is enough.",
            ),
        ),
        (0, 0.97, ("The mean quality is 97.0 %; 95 % is enough.",)),
        (
            90,
            0.9,
            (
                "45.0 % of the answers equal the base's; stable needs 70 %.",
                "The mean quality is 90.0 %: below 95 % for stable, at least 85 % for experimental.",
            ),
        ),
        (
            0,
            0.61,
            (
                "0.0 % of the answers equal the base's; stable needs 70 %.",
                "The mean quality is 61.0 %; experimental needs 85 %.",
            ),
        ),
    ],
)
def test_the_reasons_derive_the_verdict(num_exact, quality, reasons):
    assert judge(summary_of(num_exact, about(quality)), RULE).reasons == reasons


def test_a_missed_threshold_is_not_rounded_up_to_it():
    found = judge(summary_of(0, [0.94999] * 50), RULE)
    assert "The mean quality is 94.9 %: below 95 % for stable" in found.reasons[1]


def test_an_interval_across_a_threshold_leaves_the_verdict_open():
    found = judge(summary_of(0, about(0.86, num=30, spread=0.14)), RULE)
    assert (found.verdict, found.is_decided) == (Verdict.EXPERIMENTAL, False)
    assert "The pictures do not decide between experimental and do not ship" in found.reasons[2]


def test_exact_answers_across_their_threshold_leave_it_open_too():
    found = judge(summary_of(22, [0.9] * 30), RULE)
    assert (found.verdict, found.is_decided) == (Verdict.STABLE, False)
    assert "between stable and experimental" in " ".join(found.reasons)


def test_an_interval_that_crosses_a_threshold_which_does_not_matter_is_no_doubt():
    qualities = about(0.85, num=100, spread=0.3)
    assert judge(summary_of(100, qualities), RULE).is_decided


def enough(judgement):
    return int(re.search(r"About ([\d,]+) pictures", judgement.reasons[-1])[1].replace(",", ""))


def test_the_number_of_pictures_it_asks_for_is_enough():
    random = np.random.default_rng(11)

    def measured(num):
        return judge(summary_of(0, random.normal(0.88, 0.1, num).clip(0, 1).tolist()), RULE)

    undecided = next(one for one in (measured(20) for _ in range(50)) if not one.is_decided)
    asked = enough(undecided)
    assert 20 < asked < 2_000
    decided = [measured(300).is_decided for _ in range(20)]
    assert sum(decided) >= 18


def test_it_asks_for_more_pictures_the_nearer_the_threshold_is():
    asked = [
        enough(judge(summary_of(0, about(mean, num=30, spread=0.14)), RULE)) for mean in (0.87, 0.86, 0.855)
    ]
    assert asked == sorted(asked)
    assert asked[0] < asked[-1]


def test_scores_on_a_threshold_cannot_be_decided():
    found = judge(summary_of(0, about(0.85, num=30, spread=0.14)), RULE)
    assert found.reasons[-1].startswith("Not even 100,000 pictures would decide")


def test_few_pictures_never_decide():
    found = judge(summary_of(19, [1.0] * 19), RULE)
    assert (found.verdict, found.is_decided) == (Verdict.STABLE, False)
    assert found.reasons[-2:] == (
        "Only 19 pictures were compared; at least 20 are needed.",
        "About 20 pictures would probably be enough.",
    )
    assert judge(summary_of(20, [1.0] * 20), RULE).is_decided


def test_pictures_that_failed_are_named_and_too_many_leave_the_verdict_open():
    few = judge(summary_of(30, [1.0] * 30, num_problems=1), RULE)
    assert few.is_decided
    assert few.reasons[-1] == "1 picture could not be compared."
    many = judge(summary_of(30, [1.0] * 30, num_problems=31), RULE)
    assert not many.is_decided
    assert many.reasons[-1] == "31 pictures could not be compared, more than were."


def test_without_pictures_nothing_was_measured():
    nothing = Summary(
        num_pictures=0, num_problems=3, num_gibberish=0, exact=ZERO, quality=ZERO, bleu=ZERO, chrf=ZERO,
        similarity=None, agreement=None, kl_nats=None,
    )  # fmt: skip
    found = judge(nothing, RULE)
    assert (found.verdict, found.is_decided) == (Verdict.NOT_MEASURED, False)
    assert found.reasons == ("No picture was answered by both models.",)


def test_the_thresholds_are_settings_and_stored_with_the_verdict():
    strict = ValidationSettings(
        stable_exact=1, stable_quality=0.99, experimental_quality=0.98, min_pictures=5
    )
    found = judge(summary_of(180, about(0.97)), strict)
    assert found.verdict == Verdict.DO_NOT_SHIP
    assert found.thresholds == {
        "stable_exact": 1.0,
        "stable_quality": 0.99,
        "experimental_quality": 0.98,
        "max_gibberish": 0.02,
        "min_pictures": 5.0,
    }


def test_the_threshold_of_experimental_cannot_be_above_that_of_stable():
    with pytest.raises(ValidationError, match=r"must not be above validation\.stable_quality"):
        ValidationSettings(stable_quality=0.8)
    assert ValidationSettings(stable_quality=0.8, experimental_quality=0.8).experimental_quality == 0.8
