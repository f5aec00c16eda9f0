"""The quality of a picture, and the means over pictures."""

from __future__ import annotations

import pytest

from smallsight.validation.result import PictureResult, TextScores, TokenScores
from smallsight.validation.summary import picture_quality, summarize


def text(*, is_exact=False, chrf=40.0, similarity=None, error_rate=None, box_overlap=None):
    return TextScores(
        is_exact=is_exact,
        bleu=chrf / 2,
        chrf=chrf,
        similarity=similarity,
        error_rate=error_rate,
        box_overlap=box_overlap,
    )


def tokens(agreement, num_tokens=8, kl_nats=0.5):
    return TokenScores(
        num_tokens=num_tokens, agreement=agreement, kl_nats=kl_nats, max_kl_nats=1.0, first_divergence=None
    )


def picture(number, **values):
    return PictureResult(picture=f"{number}.png", sha256="0" * 64, question="What is here?", **values)


@pytest.mark.parametrize(
    ("scores", "of_tokens", "quality"),
    [
        (text(), tokens(0.75), 0.75),
        (text(error_rate=0.1), tokens(0.75), 0.9),
        (text(error_rate=1.7), None, 0.0),
        (text(box_overlap=0.5), tokens(0.75), 0.5),
        (text(error_rate=0.25, box_overlap=0.5), None, 0.5),
        (text(is_exact=True, chrf=100, similarity=0.9), None, 1.0),
        (text(similarity=0.8), None, 0.8),
        (text(similarity=-0.2), None, 0.0),
        (text(chrf=40.0), None, 0.4),
        (text(chrf=40.0), tokens(1.0, num_tokens=0), 0.4),
    ],
)
def test_the_quality_is_that_of_the_task_then_of_the_tokens_then_of_the_texts(scores, of_tokens, quality):
    assert picture_quality(scores, of_tokens) == pytest.approx(quality)


def test_means_are_over_the_pictures_that_both_answered():
    found = summarize(
        [
            picture(1, text=text(is_exact=True, chrf=100.0), tokens=tokens(1.0, kl_nats=0.0), quality=1.0),
            picture(2, text=text(chrf=50.0), tokens=tokens(0.5, kl_nats=1.0), quality=0.5),
            picture(3, problem="cannot be decoded"),
        ]
    )
    assert (found.num_pictures, found.num_problems) == (2, 1)
    assert (found.exact.mean, found.quality.mean, found.chrf.mean, found.bleu.mean) == (0.5, 0.75, 75.0, 37.5)
    assert (found.agreement.mean, found.kl_nats.mean) == (0.75, 0.5)
    assert (found.similarity, found.error_rate, found.box_overlap) == (None, None, None)


def test_a_score_that_some_pictures_lack_is_averaged_over_the_others():
    found = summarize([picture(1, text=text(error_rate=0.5)), picture(2, text=text(similarity=0.5))])
    assert (found.error_rate.mean, found.similarity.mean, found.agreement) == (0.5, 0.5, None)
    assert found.quality.mean == 0.5


def test_gibberish_counts_only_where_the_base_does_not_write_it_too():
    reasons = ("it repeats itself",)
    found = summarize(
        [
            picture(1, text=text(), gibberish=reasons),
            picture(2, text=text(), gibberish=reasons, base_gibberish=reasons),
            picture(3, text=text(), base_gibberish=reasons),
        ]
    )
    assert found.num_gibberish == 1


def test_without_pictures_there_are_no_means():
    found = summarize([picture(1, problem="cannot be decoded")])
    assert (found.num_pictures, found.num_problems, found.quality.mean, found.kl_nats) == (0, 1, 0.0, None)
