"""The model ``test``, loaded as everyone loads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import smallsight
from smallsight.errors import ArgumentError, CorruptPictureError, InvalidTextError, PictureNotFoundError
from smallsight.model.answer import Answer
from smallsight.model.model import Model
from smallsight.model.test_model import words_of_name


@pytest.fixture
def model() -> Iterator[Model]:
    with smallsight.load("test") as loaded:
        yield loaded


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "cat-on-sofa_2.jpg"
    Image.new("RGB", (20, 20)).save(path)
    return path


def test_the_words_of_the_name_are_the_description(model: Model, cat: Path):
    answer = model.describe(cat)
    assert answer.text == "cat on sofa 2"
    assert answer.finish_reason == "stop"
    assert answer.model == "test"
    assert len(answer.token_ids) == answer.usage.completion_tokens == 4
    assert answer.usage.image_tokens == 0
    assert answer.timings.total_s > 0


def test_half_an_emoji_in_a_question_is_a_sentence(model: Model, cat: Path):
    with pytest.raises(InvalidTextError, match="not valid text"):
        model.ask(cat, "what is \ud83d")


def test_its_representation_is_its_name(model: Model):
    assert repr(model) == "<smallsight model 'test'>"


def test_streaming_gives_the_same_text_word_by_word(model: Model, cat: Path):
    assert list(model.stream(cat)) == ["cat", " on", " sofa", " 2"]
    assert list(model.stream(cat, "What is it?", max_tokens=2)) == ["cat", " on"]


def test_the_longest_answer_is_kept(model: Model, cat: Path):
    answer = model.describe(cat, max_tokens=3)
    assert (answer.text, answer.finish_reason, len(answer.token_ids)) == ("cat on sofa", "length", 3)


def test_questions_and_conversations_count_as_prompt_and_change_nothing(model: Model, cat: Path):
    answer = model.ask([cat, cat], "What changed here?", temperature=0.7, seed=1)
    assert (answer.text, answer.usage.prompt_tokens) == ("cat on sofa 2 cat on sofa 2", 3)
    messages = [{"role": "user", "content": "Who is it?"}, {"role": "assistant", "content": "a cat"}]
    assert model.ask(cat, messages).usage.prompt_tokens == model.count_tokens(cat, messages) == 5


def test_pictures_without_a_name_say_so(model: Model, cat: Path):
    assert model.describe(cat.read_bytes()).text == "picture without a name"
    assert model.describe(np.zeros((2, 2, 3), np.uint8)).text == "picture without a name"


def test_errors_are_values_among_many_and_raised_for_one(model: Model, cat: Path, tmp_path: Path):
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"\xff\xd8\xff\xe0 nothing")
    answers = list(model.describe_many([cat, damaged, tmp_path / "gone.png", cat]))
    assert [type(answer) for answer in answers] == [Answer, CorruptPictureError, PictureNotFoundError, Answer]
    with pytest.raises(CorruptPictureError):
        model.describe(damaged)


def test_many_are_taken_one_by_one(model: Model, cat: Path):
    taken = []

    def endless() -> Iterator[Path]:
        while True:
            taken.append(cat)
            yield cat

    answers = model.describe_many(endless())
    assert [type(next(answers)) for _ in range(3)] == [Answer] * 3
    assert len(taken) == 3


@pytest.mark.parametrize(
    "ask",
    [
        lambda m, cat: m.describe(cat, json_schema={}),
        lambda m, cat: m.ask(cat, "What?", json_schema={}),
        lambda m, cat: list(m.stream(cat, "What?", json_schema={})),
        lambda m, cat: m.start(cat, "What?", json_schema={}),
        lambda m, cat: list(m.describe_many([cat], json_schema={})),
    ],
    ids=["describe", "ask", "stream", "start", "describe_many"],
)
def test_no_way_of_asking_takes_a_schema(model: Model, cat: Path, ask: Callable[[Model, Path], object]):
    with pytest.raises(ArgumentError, match='"test" cannot produce JSON'):
        ask(model, cat)


def test_places_cannot_be_detected(model: Model, cat: Path):
    with pytest.raises(ArgumentError, match='"test" cannot detect objects'):
        model.detect(cat, "car")


def test_it_has_no_weights_and_a_key(model: Model):
    assert model.memory.weights_bytes == 0
    assert model.memory.resident_bytes > 1_000_000
    assert model.key.startswith("test")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cat-on-sofa_2.jpg", ("cat", "on", "sofa", "2")),
        ("no ending", ("no", "ending")),
        (".hidden", ("hidden",)),
        ("猫.png", ("猫",)),
        ("a..b.tar.png", ("a", "b", "tar")),
        ("---.png", ("picture", "without", "a", "name")),
        (None, ("picture", "without", "a", "name")),
    ],
)
def test_words_of_names(name: str | None, words: tuple[str, ...]):
    assert words_of_name(name) == words


@given(st.text())
def test_every_name_gives_words_without_separators(name: str):
    words = words_of_name(name)
    assert words
    assert all(word and not set(word) & set(" ._-\n\t") for word in words)
    assert words == words_of_name(name)
