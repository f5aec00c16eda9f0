"""Scores of given answers, and answers that have none.

That own answers are the likeliest is tested with each family (``invariants.own_answers_are_likeliest``).
"""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import smallsight
from smallsight.engine.engine import EngineOptions
from smallsight.engine.remote.remote_engine import RemoteEngine
from smallsight.errors import ArgumentError, InvalidTextError, ModelClosedError, PromptTooLongError
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import Limits, Settings
from tiny_florence2 import SHAPES as FLORENCE2_SHAPES
from tiny_florence2 import write_tiny_florence2
from tiny_smolvlm import SHAPES as SMOLVLM_SHAPES
from tiny_smolvlm import make_checkpoint

WRITERS = {
    "smolvlm": lambda folder: make_checkpoint(folder, SMOLVLM_SHAPES[0]),
    "florence2": lambda folder: write_tiny_florence2(folder, FLORENCE2_SHAPES[0]),
}
PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 60 + 9 * seed, 3), np.uint8))
    for seed in range(4)
]


@pytest.fixture(scope="module")
def smolvlm_folder(tmp_path_factory):
    return WRITERS["smolvlm"](tmp_path_factory.mktemp("alone") / "tiny")


def open_model(folder, family="smolvlm", precision="fp32", engine="openvino", **options):
    limits = EngineOptions(cache_bytes=4 << 20, chunk_tokens=64, **options)
    return VisionLanguageModel.load(
        folder, family=family, name="tiny", precision=precision, threads=1, options=limits, engine=engine
    )


@pytest.fixture(scope="module")
def model(smolvlm_folder):
    with open_model(smolvlm_folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    with smallsight.load(
        "Smallsight-tiny", settings=Settings(home=tmp_path_factory.mktemp("home"))
    ) as opened:
        yield opened


def test_scores_are_the_same_when_the_cache_is_too_small_for_all(smolvlm_folder):
    answers = [list(range(10 + seed, 60 + seed)) for seed in range(len(PICTURES))]
    with open_model(smolvlm_folder, max_blocks=13) as model:
        alone = [model.score(image, None, answer) for image, answer in zip(PICTURES, answers, strict=True)]
        with ThreadPoolExecutor(len(PICTURES)) as threads:
            for _ in range(50):  # threads that start one after the other need not meet in the cache
                company = list(threads.map(lambda i: model.score(PICTURES[i], None, answers[i]), range(4)))
                for one, other in zip(alone, company, strict=True):
                    np.testing.assert_array_equal(one.log_distributions, other.log_distributions)
                if model._engine.worker.inspect().num_preemptions:  # noqa: SLF001 - nothing public counts them
                    return
    pytest.fail("no request was ever preempted")


def test_both_engines_give_the_same_scores_in_fp32(smolvlm_folder, model):
    with open_model(smolvlm_folder, engine="reference") as plain:
        expected = plain.score(PICTURES[0], "What is it?", "A cat sits.")
    scores = model.score(PICTURES[0], "What is it?", "A cat sits.")
    assert scores.token_ids == expected.token_ids
    np.testing.assert_allclose(scores.log_distributions, expected.log_distributions, rtol=2e-4, atol=1e-3)


def test_scores_are_probabilities_of_the_whole_vocabulary(model):
    scores = model.score(PICTURES[:2], [{"role": "user", "content": "Compare."}], [5, 9, 5])
    assert scores.log_distributions.dtype == np.float32
    assert scores.log_distributions.shape[0] == 3
    np.testing.assert_allclose(np.exp(scores.log_distributions).sum(axis=1), 1, atol=1e-5)
    assert list(scores.top_ids) == scores.log_distributions.argmax(axis=1).tolist()
    assert scores.log_probs.tolist() == [
        scores.log_distributions[i, token] for i, token in enumerate([5, 9, 5])
    ]
    assert scores.mean_log_prob == pytest.approx(float(scores.log_probs.mean()))
    assert scores.perplexity == pytest.approx(math.exp(-scores.mean_log_prob))
    with pytest.raises(ValueError, match="read-only"):
        scores.log_distributions[0, 0] = 0


def test_detail_and_question_change_what_is_scored(model):
    large = PICTURES[0].resize((400, 300))
    kinds = [("Say.", "high"), ("Say.", "low"), ("Tell.", "low"), (None, "low")]
    found = [model.score(large, question, [7], detail=detail).mean_log_prob for question, detail in kinds]
    assert len(set(found)) == len(kinds)


def test_logprobs_of_an_answer_are_those_of_its_scores(model):
    answer = model.describe(PICTURES[1], max_tokens=6, num_logprobs=0, temperature=1.5, seed=3)
    scores = model.score(PICTURES[1], None, answer.token_ids)
    assert scores.log_probs.tolist() == [np.float32(one.logprob) for one in answer.logprobs]


@pytest.mark.parametrize("task", ["<OCR>", "<OD>"])
def test_tasks_of_florence2_are_questions_too(tmp_path, task):
    with open_model(WRITERS["florence2"](tmp_path / "tiny"), "florence2") as model:
        own = model.ask(PICTURES[0], task, max_tokens=8).token_ids
        scores = model.score(PICTURES[0], task, own)
        words = model.score(PICTURES[0], task, "cat<loc_5></s>")
    assert scores.token_ids == own
    assert words.token_ids[0] == 0  # as generation begins every answer
    assert len(words.token_ids) == 1 + len("cat") + 1 + len(
        "</s>"
    )  # a location is a token, "</s>" are letters


def test_a_text_is_scored_as_the_model_would_have_written_it(shipped):
    image = Image.new("RGB", (200, 200), "red")
    own = shipped.describe(image, max_tokens=40)
    assert own.finish_reason == "stop"
    by_text = shipped.score(image, None, f"  {own.text}\n")
    by_tokens = shipped.score(image, None, own.token_ids)
    assert by_text.token_ids == own.token_ids[:-1]  # without the end token
    np.testing.assert_array_equal(by_text.log_distributions, by_tokens.log_distributions[:-1])


def test_an_own_answer_is_likelier_than_a_wrong_one(shipped):
    image = Image.new("RGB", (200, 200), "red")
    own = shipped.score(image, None, shipped.describe(image, max_tokens=40).token_ids)
    wrong = shipped.score(image, None, "Three green trees and the words: good night.")
    assert own.mean_log_prob > wrong.mean_log_prob + 1
    assert 1 <= own.perplexity < wrong.perplexity


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ("", ArgumentError, "is empty"),
        (" \n", ArgumentError, "is empty"),
        ((), ArgumentError, "is empty"),
        ([1, 2.5], ArgumentError, "of type list"),
        (None, ArgumentError, "of type NoneType"),
        ([4, 100_000], ArgumentError, "no token 100000"),
        ([-1], ArgumentError, "no token -1"),
        ("a \ud800", InvalidTextError, "valid text"),
        ([3] * 3000, PromptTooLongError, "prompt and the answer have 3[0-9]* tokens .limit 2048"),
        ("word " * 50_000, PromptTooLongError, "answer has more than 2048 tokens"),
    ],
    ids=str,
)
def test_an_answer_that_cannot_be_scored_is_refused_in_one_sentence(model, answer, error, words):
    with pytest.raises(error, match=words) as caught:
        model.score(PICTURES[0], None, answer)
    assert caught.value.hint


@pytest.mark.parametrize("family", ["smolvlm", "florence2"])
def test_an_answer_may_fill_the_context_and_not_more(family, tmp_path):
    folder = WRITERS[family](tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    if family == "smolvlm":
        config["text_config"]["max_position_embeddings"] = 200
    (folder / "config.json").write_text(json.dumps(config))
    with open_model(folder, family) as model:
        num_prompt = model.describe(PICTURES[0], max_tokens=1).usage.prompt_tokens
        most = 200 - num_prompt if family == "smolvlm" else 256 - 1
        assert len(model.score(PICTURES[0], None, [3] * most).token_ids) == most
        with pytest.raises(PromptTooLongError, match=f"limit {most if family == 'florence2' else 200}"):
            model.score(PICTURES[0], None, [3] * (most + 1))


def test_models_without_distributions_refuse():
    with pytest.raises(ArgumentError, match='"test" cannot score answers'):
        smallsight.load("test").score(PICTURES[0], None, "A cat.")
    elsewhere = RemoteEngine("far", RemoteSettings(base_url="http://127.0.0.1:9/v1"))
    with (
        VisionLanguageModel(elsewhere, name="far", precision="remote", limits=Limits()) as remote,
        pytest.raises(ArgumentError, match="far runs on another server"),
    ):
        remote.score(PICTURES[0], None, "A cat.")


def test_a_closed_model_scores_nothing(smolvlm_folder):
    model = open_model(smolvlm_folder)
    model.close()
    with pytest.raises(ModelClosedError):
        model.score(PICTURES[0], None, "A cat.")
