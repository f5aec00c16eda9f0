"""Taking a given answer's tokens in place of those that a model would choose."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.engine.decoding.answer_scorer import AnswerScorer, ScoringSearch
from smallsight.errors import ArgumentError


def test_tokens_are_the_answers_and_the_distributions_the_logits():
    scorer = AnswerScorer([2, 0], 4)
    rows = [np.array([0, 1, 2, 3], np.float32), np.array([5, 4, 5, 0], np.float32)]
    assert scorer.scores() is None
    assert [scorer.choose(row).token_id for row in rows] == [2, 0]
    scores = scorer.scores()
    assert scorer.is_done
    assert scores.token_ids == (2, 0)
    assert scores.top_ids == (3, 0)  # the first of the likeliest, as in greedy decoding
    for row, logs in zip(rows, scores.log_distributions, strict=True):
        np.testing.assert_allclose(np.exp(logs), np.exp(row) / np.exp(row).sum(), rtol=1e-5)


def test_the_likeliest_token_is_that_of_the_logits_where_rounding_makes_two_equal():
    scorer = AnswerScorer([0], 2)
    scorer.choose(np.array([0, 1e-9], np.float32))
    assert scorer.scores().top_ids == (1,)
    assert len(set(scorer.scores().log_distributions[0].tolist())) == 1


def test_large_logits_do_not_overflow():
    scorer = AnswerScorer([0], 3)
    scorer.choose(np.array([3e38, 1e38, -3e38], np.float32))
    (row,) = scorer.scores().log_distributions
    assert row.tolist() == [0, pytest.approx(-2e38), -np.inf]


def test_a_search_has_one_beam_that_is_the_answer():
    search = ScoringSearch(AnswerScorer([3, 1], 4), start_token_id=2)
    fed = []
    while not search.is_done:
        fed += search.next_tokens
        assert search.advance(np.zeros((1, 4), np.float32)) == (0,)
    assert fed == [2, 3]
    assert search.tokens == (3, 1)


@pytest.mark.parametrize(
    ("answer", "words"), [([], "no tokens"), ([0, 4], "no token 4"), ([-1], "no token -1")]
)
def test_an_answer_of_unknown_tokens_is_refused(answer, words):
    with pytest.raises(ArgumentError, match=words):
        AnswerScorer(answer, 4)
