"""Scores of two texts: what sacrebleu says, except where its defaults are wrong for short answers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sacrebleu.metrics import BLEU, CHRF

from smallsight.validation.text_scores import score_texts

LONG = "A black cat sits on a red sofa beside two sleeping dogs."
OTHER = "A grey cat lies on the red sofa beside three dogs."


@pytest.mark.parametrize(
    "text",
    [
        "cat",
        "a cat",
        "a red circle",
        "one two three four",
        LONG,
        "赤い",
        "猫がソファに座っている。",
        "แมวดำ",
        "กา",
        "قطة",
        "!",
        "🐈",
    ],
)
def test_equal_texts_score_100_whatever_their_length_or_script(text):
    scores = score_texts(text, text)
    assert (scores.is_exact, scores.bleu, scores.chrf) == (True, 100.0, 100.0)


def test_two_empty_answers_are_equal():
    assert score_texts("", " \n").is_exact
    assert score_texts("", "").chrf == score_texts("", "").bleu == 100.0


@pytest.mark.parametrize(("base", "variant"), [("", "a cat"), ("a cat", ""), ("a cat", "\n")])
def test_an_empty_answer_beside_another_scores_0(base, variant):
    scores = score_texts(base, variant)
    assert (scores.is_exact, scores.bleu, scores.chrf) == (False, 0.0, 0.0)


def test_only_whitespace_is_ignored_for_an_exact_match():
    assert score_texts("a cat\n on it", "  a cat on it ").is_exact
    assert not score_texts("A cat", "a cat").is_exact
    assert not score_texts("a cat.", "a cat").is_exact


def test_long_texts_score_what_sacrebleu_says():
    scores = score_texts(LONG, OTHER)
    assert scores.bleu == pytest.approx(BLEU(effective_order=True).sentence_score(OTHER, [LONG]).score)
    assert scores.chrf == pytest.approx(CHRF().sentence_score(OTHER, [LONG]).score)
    assert 10 < scores.bleu < 60


def test_a_short_answer_with_one_other_word_is_between_equal_and_different():
    near, far = score_texts("a red circle", "a red square"), score_texts("a red circle", "no idea")
    assert 100 > near.bleu > far.bleu == 0.0
    assert 100 > near.chrf > far.chrf > 0.0


def test_a_language_without_spaces_is_compared_by_character():
    base, variant = "猫がソファに座っている。", "猫がソファで寝ている。"
    plain = BLEU(effective_order=True).sentence_score(variant, [base]).score
    by_character = BLEU(effective_order=True, tokenize="char").sentence_score(variant, [base]).score
    assert plain == 0.0
    assert score_texts(base, variant).bleu == pytest.approx(by_character)


def test_words_of_a_language_with_spaces_stay_whole_beside_one_without():
    assert score_texts("the sign says 出口", "the sign says 入口").bleu > score_texts("the sign", "xyz").bleu
    assert score_texts("bread 出", "broad 口").bleu == 0.0


def test_similarities_are_passed_on_within_their_bounds():
    assert score_texts("a", "b", similarity=0.25).similarity == 0.25
    assert score_texts("a", "a", similarity=1.0000002).similarity == 1.0
    assert score_texts("a", "b").similarity is None
    assert score_texts("a", "b", box_overlap=0.5).box_overlap == 0.5


def test_only_tasks_that_read_text_have_an_error_rate():
    assert score_texts("exit", "exlt").error_rate is None
    assert score_texts("exit", "exlt", reads_text=True).error_rate == 0.25


def test_without_the_extra_one_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['sacrebleu'] = None\n"
        "from smallsight.errors import MissingExtraError\n"
        "from smallsight.validation.text_scores import require_text_metrics\n"
        "try: require_text_metrics()\n"
        "except MissingExtraError as error: print(error, error.hint)"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert "needs the package sacrebleu" in said
    assert said.endswith("pip install 'smallsight[validate]'\n")


def test_sacrebleu_is_imported_only_where_texts_are_compared():
    program = (
        "import sys; from smallsight.validation.text_scores import score_texts; score_texts('a', 'a');"
        "assert 'sacrebleu' not in sys.modules; score_texts('a', 'b'); assert 'sacrebleu' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
