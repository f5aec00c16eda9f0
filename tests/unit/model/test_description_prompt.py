"""What is asked for a description."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from smallsight.errors import ArgumentError
from smallsight.families.family import Capabilities, Prompts
from smallsight.model.description_prompt import description_prompt

ONE = SimpleNamespace(prompts=Prompts("Describe."), capabilities=Capabilities())
TWO = SimpleNamespace(prompts=Prompts("S"), capabilities=Capabilities(lengths={"short": "S", "normal": "N"}))


@pytest.mark.parametrize(
    ("engine", "prompt", "length", "asked"),
    [
        (ONE, None, None, "Describe."),
        (ONE, "What?", None, "What?"),
        (TWO, None, None, "S"),
        (TWO, None, "normal", "N"),
        (TWO, "", "short", "S"),
    ],
)
def test_words_before_length_before_the_familys_own(engine, prompt, length, asked):
    assert description_prompt(engine, "m", prompt, length) == asked


@pytest.mark.parametrize(
    ("engine", "prompt", "length", "words"),
    [
        (ONE, None, "short", "m does not support description lengths"),
        (TWO, None, "long", "no length 'long'.*short or normal"),
        (TWO, "What?", "short", "cannot be combined with a prompt"),
    ],
)
def test_lengths_that_there_are_not(engine, prompt, length, words):
    with pytest.raises(ArgumentError, match=words):
        description_prompt(engine, "m", prompt, length)
