"""Florence-2 through ``smallsight.load``: tasks and their data, batches, precisions, and what it refuses."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

import smallsight
from clocks import wait_until
from invariants import own_answers_are_likeliest
from smallsight.engine.decoding.beam_search import BeamOptions, BeamSearch
from smallsight.errors import ArgumentError, ModelClosedError, PictureError, PromptTooLongError
from smallsight.families.florence2.generation_defaults import read_generation_defaults
from smallsight.families.florence2.post_process import in_words
from smallsight.families.florence2.processor import ADDED, BART_TOKENS, Florence2Processor
from smallsight.families.florence2.tasks import TASKS
from smallsight.settings import Settings
from tiny_florence2 import SHAPES, write_tiny_florence2

PRECISIONS = ("fp32", "bf16", "int8", "int4")
PICTURES = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40 + seed, 60, 3), np.uint8))
    for seed in range(6)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_florence2(tmp_path_factory.mktemp("florence2") / "tiny", SHAPES[0])


@pytest.fixture(scope="module")
def load(folder, tmp_path_factory):
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    return lambda precision: smallsight.load(folder, precision=precision, settings=settings)


@pytest.fixture(scope="module")
def models(load):
    """One model of each precision, loaded once."""
    with ExitStack() as opened:
        yield {precision: opened.enter_context(load(precision)) for precision in PRECISIONS}


@pytest.fixture(params=PRECISIONS)
def model(request, models):
    return models[request.param]


@pytest.fixture
def exact(models):
    return models["fp32"]


def test_pictures_described_together_are_described_as_alone(model):
    together = list(model.describe_many(PICTURES, max_tokens=12))
    alone = [model.describe(picture, max_tokens=12) for picture in PICTURES]
    assert [one.token_ids for one in together] == [one.token_ids for one in alone]
    assert len({one.token_ids for one in alone}) > 1
    assert all(one.token_ids[0] == 0 for one in alone)  # the checkpoint's forced first token
    assert all(one.usage.image_tokens == 10 and one.data is None for one in alone)


def test_own_answers_are_the_likeliest_by_their_scores(model):
    """Except for what generation forces and bans, which is no part of the scores."""
    forced = {"forced_first_token_id": 0, "forced_last_token_id": 2}
    options = BeamOptions(2, frozenset([2]), 1 + 16, no_repeat_ngram=3, **forced)

    def chosen(scores):
        search = BeamSearch(options)
        for row_V in scores.log_distributions:
            search.advance(row_V[None])
        return search.tokens

    own_answers_are_likeliest(model, PICTURES[:4], chosen, max_tokens=16, num_beams=1)


def test_tokens_are_counted_without_an_answer(exact):
    used = exact.ask(PICTURES[0], "<OCR>", max_tokens=3).usage.prompt_tokens
    assert exact.count_tokens(PICTURES[0], "<OCR>") == used


def test_a_task_about_places_gives_data(model):
    answer = model.ask(PICTURES[0], "<OD>", max_tokens=30)
    assert answer.data is not None
    assert answer.data["task"] == "<OD>"
    assert len(answer.data["bboxes"]) == len(answer.data["labels"])


def test_weights_take_less_the_fewer_their_bits(models):
    sizes = [models[precision].memory.weights_bytes for precision in PRECISIONS]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_the_text_of_a_stream_is_that_of_the_answer(exact):
    assert (
        "".join(exact.stream(PICTURES[1], "<OCR>", max_tokens=9)).strip()
        == exact.ask(PICTURES[1], "<OCR>", max_tokens=9).text
    )


def test_greedy_and_beams_are_asked_for_by_number(exact):
    answers = {beams: exact.describe(PICTURES[2], num_beams=beams, max_tokens=10) for beams in (1, 3, 5)}
    assert exact.describe(PICTURES[2], max_tokens=10).token_ids == answers[3].token_ids
    assert len({answer.token_ids for answer in answers.values()}) > 1


def test_an_answer_without_an_end_is_as_long_as_asked(exact):
    unseen = PICTURES[0].transpose(Image.Transpose.ROTATE_90)
    answer = exact.describe(unseen, max_tokens=20, ignore_stop=True)
    assert len(answer.token_ids) == 20
    assert answer.finish_reason == "length"
    assert answer.timings.total_s >= answer.timings.first_token_s > answer.timings.vision_s > 0


def test_the_last_question_of_a_conversation_is_what_is_asked(exact):
    turns = [
        {"role": "user", "content": "What is this?"},
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "<OCR>"},
    ]
    alone = exact.ask(PICTURES[0], "<OCR>", max_tokens=8)
    assert exact.ask(PICTURES[0], turns, max_tokens=8).token_ids == alone.token_ids


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0.5}, "not support sampling options"),
        ({"stop": ["x"]}, "stop strings"),
        ({"num_logprobs": 2}, "logprobs"),
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 99}, "num_beams"),
    ],
)
def test_options_that_it_cannot_follow_are_refused(exact, options, words):
    with pytest.raises(ArgumentError, match=words):
        exact.describe(PICTURES[0], **options)


def test_several_pictures_at_once_are_refused(exact):
    with pytest.raises(ArgumentError, match="exactly one picture"):
        exact.ask(PICTURES[:2], "<OCR>")


def test_a_prompt_that_is_too_long_is_refused_and_the_model_goes_on(exact):
    with pytest.raises(PromptTooLongError, match="limit 256"):
        exact.ask(PICTURES[0], f"<OPEN_VOCABULARY_DETECTION>{'cat ' * 200}")
    assert exact.describe(PICTURES[0], max_tokens=3).token_ids


def test_one_that_cannot_be_read_does_not_end_the_others(exact, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    first, second, third = exact.describe_many(
        [PICTURES[0], tmp_path / "broken.png", PICTURES[1]], max_tokens=4
    )
    assert isinstance(second, PictureError)
    assert first.token_ids
    assert third.token_ids


def num_engines():
    return sum(thread.name == "smallsight-engine" for thread in threading.enumerate())


def test_closing_ends_what_is_under_way(load):
    num_before = num_engines()
    model = load("fp32")
    errors = []

    def ask():
        try:
            model.describe(PICTURES[0], max_tokens=200, ignore_stop=True)
        except ModelClosedError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: num_engines() > num_before)
    model.close()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    with pytest.raises(ModelClosedError):
        model.describe(PICTURES[0])


def test_a_stream_that_is_left_frees_the_engine(exact):
    stream = exact.stream(PICTURES[0], "<OCR>", max_tokens=4)
    next(stream, None)
    stream.close()
    assert exact.describe(PICTURES[0], max_tokens=3).token_ids


def test_defaults_are_the_checkpoints_own(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert read_generation_defaults(copy).num_beams == 3
    (copy / "generation_config.json").write_text(json.dumps({"num_beams": 5, "early_stopping": False}))
    assert read_generation_defaults(copy).num_beams == 5
    assert read_generation_defaults(copy).early_stopping is False


def test_the_original_repositories_tokens_are_completed(folder, tmp_path):
    copy = tmp_path / "original"
    shutil.copytree(folder, copy)
    described = json.loads((copy / "tokenizer.json").read_text())
    own = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    described["model"]["vocab"] = own | {f"w{i}": i for i in range(4, BART_TOKENS)}
    described["added_tokens"] = [one for one in described["added_tokens"] if one["content"] in own]
    (copy / "tokenizer.json").write_text(json.dumps(described))
    config = json.loads((copy / "config.json").read_text())
    config["image_token_id"] = 51289
    (copy / "config.json").write_text(json.dumps(config))
    tokenizer = Florence2Processor(copy).tokenizer
    assert len(ADDED) == 51290 - BART_TOKENS
    places = {
        name: tokenizer.token_to_id(name) for name in ("<od>", "<loc_0>", "<loc_999>", "<and>", "<image>")
    }
    assert places == {"<od>": 50265, "<loc_0>": 50269, "<loc_999>": 51268, "<and>": 51288, "<image>": 51289}


def test_labels_are_the_words_of_an_answer_about_places():
    found = {"bboxes": [[0, 0, 1, 1]] * 3, "labels": ["cat", "dog", "cat"]}
    assert in_words(found, TASKS["<OD>"]) == ("cat, dog", {"task": "<OD>", **found})
    lines = {"quad_boxes": [], "labels": ["one", "two"]}
    assert in_words(lines, TASKS["<OCR_WITH_REGION>"])[0] == "one\ntwo"
    assert in_words("A cat.", TASKS["<CAPTION>"]) == ("A cat.", None)


def test_a_client_with_many_requests_does_not_keep_another_out(exact):
    ended, busy = [], []
    for number in range(40):
        reply = exact.start([PICTURES[number % 6]], "<CAPTION>", max_tokens=20, client="busy")
        reply.listen(lambda piece: ended.append("busy") if piece is None else None)
        busy.append(reply)
    num_before = len(ended)  # on a busy machine some are answered while others are begun
    single = exact.start([PICTURES[0]], "<CAPTION>", max_tokens=20, client="single")
    single.listen(lambda piece: ended.append("single") if piece is None else None)
    for reply in [*busy, single]:
        reply.answer()
    # Those of the batch that is in progress, and of its own.
    assert ended.index("single") - num_before <= 16
