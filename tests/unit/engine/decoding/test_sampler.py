"""Choosing tokens: against transformers' own rules, and its statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from smallsight.engine.decoding.sampler import Sampler, kept_tokens, log_probabilities
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError

LOGITS = np.random.default_rng(0).normal(0, 3, 50).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.1, 3),
    st.integers(0, 60),
    st.floats(0.05, 1),
    st.floats(0.5, 2),
    st.integers(0, 1000),
)
def test_what_may_be_drawn_is_what_transformers_would_draw_from(temperature, top_k, top_p, penalty, seed):
    logits = np.random.default_rng(seed).normal(0, 3, 50).astype(np.float32)
    prompt = [1, 5, 9]
    rules = [RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(temperature)]
    rules += [TopKLogitsWarper(top_k)] if top_k else []
    rules += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    scores = LogitsProcessorList(rules)(torch.tensor([prompt]), torch.from_numpy(logits)[None])
    expected = torch.softmax(scores.double(), -1)[0].numpy()
    options = SamplingOptions(temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=penalty)
    ids, probabilities = kept_tokens(Sampler(options, prompt)._penalised(logits), options)  # noqa: SLF001 - one step of several
    ours = np.zeros(50)
    ours[ids] = probabilities
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_greedy_is_the_lowest_of_the_likeliest():
    logits = np.array([0.0, 2.0, 2.0, -1.0], np.float32)
    assert Sampler(SamplingOptions(), []).choose(logits).token_id == 1


def test_the_penalty_counts_tokens_as_they_are_chosen():
    sampler = Sampler(SamplingOptions(repetition_penalty=2.0), [])
    logits = np.array([3.0, 2.0, 1.9], np.float32)
    assert [sampler.choose(logits).token_id for _ in range(3)] == [0, 1, 2]


def test_the_logits_are_left_alone():
    before = LOGITS.copy()
    Sampler(SamplingOptions(repetition_penalty=2.0, temperature=1.0, num_logprobs=3), [1, 2]).choose(LOGITS)
    np.testing.assert_array_equal(LOGITS, before)


def draws(count, **options):
    sampler = Sampler(SamplingOptions(**options), [])
    return [sampler.choose(LOGITS).token_id for _ in range(count)]


def test_a_seed_gives_the_same_tokens_and_another_others():
    assert draws(40, temperature=1.0, seed=3) == draws(40, temperature=1.0, seed=3)
    assert draws(40, temperature=1.0, seed=3) != draws(40, temperature=1.0, seed=4)


def test_tokens_come_as_often_as_they_should():
    counts = np.bincount(draws(20_000, temperature=1.0, seed=0), minlength=50) / 20_000
    np.testing.assert_allclose(counts, np.exp(log_probabilities(LOGITS)), atol=0.012)


def test_one_kept_token_is_the_greedy_one():
    assert set(draws(20, temperature=5.0, top_k=1, seed=1)) == {int(LOGITS.argmax())}


def test_logprobs_are_those_of_the_model():
    choice = Sampler(SamplingOptions(temperature=0.5, num_logprobs=4, seed=0), []).choose(LOGITS)
    expected = torch.log_softmax(torch.from_numpy(LOGITS).double(), -1).numpy()
    assert choice.logprob == pytest.approx(expected[choice.token_id])
    assert [token for token, _ in choice.alternatives] == np.argsort(-expected)[:4].tolist()
    assert Sampler(SamplingOptions(num_logprobs=0), []).choose(LOGITS).alternatives == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"max_tokens": 0},
        {"max_tokens": True},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 1.5},
        {"top_k": -1},
        {"repetition_penalty": 0},
        {"stop": ("",)},
        {"stop": ("a",) * 17},
        {"seed": -1},
        {"num_logprobs": 21},
        {"temperature": "hot"},
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(bad):
    with pytest.raises(ArgumentError) as caught:
        SamplingOptions(**bad)
    assert next(iter(bad)).split("_")[0] in caught.value.message


def test_penalties_grow_with_what_the_answer_has_and_not_with_the_prompt():
    logits = np.array([3.0, 2.5, 2.0, -1.0], np.float32)
    sampler = Sampler(SamplingOptions(frequency_penalty=0.4), [0, 0, 0])
    assert [sampler.choose(logits).token_id for _ in range(5)] == [0, 0, 1, 0, 1]
    sampler = Sampler(SamplingOptions(presence_penalty=0.6), [0])
    assert [sampler.choose(logits).token_id for _ in range(4)] == [0, 1, 0, 0]
    sampler = Sampler(SamplingOptions(presence_penalty=-5.0), [])
    assert [sampler.choose(logits).token_id for _ in range(3)] == [0, 0, 0]
    assert logits.tolist() == [3.0, 2.5, 2.0, -1.0]


def test_biases_are_added_to_the_logits_of_single_tokens():
    logits = np.array([3.0, 2.5, 2.0, -1.0], np.float32)

    def chosen(*biases):
        return Sampler(SamplingOptions(logit_bias=biases), []).choose(logits).token_id

    assert chosen((0, -100.0)) == 1
    assert chosen((3, 5.0)) == 3
    assert chosen((3, 2.0), (3, 3.0)) == 3
    assert chosen((10**6, 100.0)) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"frequency_penalty": 11.0},
        {"presence_penalty": float("nan")},
        {"logit_bias": ((-1, 1.0),)},
        {"logit_bias": ((1, float("inf")),)},
        {"logit_bias": tuple((i, 1.0) for i in range(1025))},
    ],
)
def test_penalties_and_biases_out_of_bounds(options):
    with pytest.raises(ArgumentError):
        SamplingOptions(**options)


def test_a_barred_token_is_not_chosen_and_the_logits_stay_as_they_are():
    logits = np.array([0.0, 9.0, 3.0], np.float32)
    assert Sampler(SamplingOptions(), []).choose(logits, {1, 700}).token_id == 2
    assert Sampler(SamplingOptions(temperature=1.0, seed=1), []).choose(logits, {1, 2}).token_id == 0
    assert logits[1] == 9
