"""Whatever may change an answer changes its name; whatever cannot does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsight.answering.question import PictureLink, Question, Turn
from smallsight.answering.same_question import question_digest
from smallsight.inventory.served_models import ServedModel
from smallsight.model.picture_argument import NamedBytes

SERVED = ServedModel("m", "m", "int8", "auto", 0, None, False, 77, 0.0, "mark")
ASKED = Question("m", (Turn("user", (PictureLink("u"), "What?")),), sampling={"stop": ["x"], "top_p": 0.5})
FILES = {"u": NamedBytes("a.png", b"1"), "v": NamedBytes("a.png", b"1")}


def name(asked: Question = ASKED, served: ServedModel = SERVED, files: dict = FILES) -> bytes | None:
    return question_digest(asked, served, files)


@pytest.mark.parametrize(
    "other",
    [
        {"asked": replace(ASKED, turns=(Turn("user", (PictureLink("u"), "Who?")),))},
        {"asked": replace(ASKED, turns=(Turn("system", (PictureLink("u"), "What?")),))},
        {"asked": replace(ASKED, turns=(Turn("user", ("What?", PictureLink("u"))),))},
        {"asked": replace(ASKED, turns=(Turn("user", (PictureLink("u", "high"), "What?")),))},
        {"asked": replace(ASKED, max_tokens=5)},
        {"asked": replace(ASKED, num_choices=2)},
        {"asked": replace(ASKED, sampling={"stop": ["y"], "top_p": 0.5})},
        {"asked": replace(ASKED, sampling={})},
        {"served": replace(SERVED, name="n")},
        {"served": replace(SERVED, precision="int4")},
        {"served": replace(SERVED, files_mark="changed")},
        {"files": {"u": NamedBytes("a.png", b"2")}},
        {"files": {"u": NamedBytes("b.png", b"1")}},
    ],
    ids=str,
)
def test_another_question(other: dict):
    assert name(**other) not in (None, name())


@pytest.mark.parametrize(
    "asked",
    [
        replace(ASKED, turns=(Turn("user", (PictureLink("v"), "What?")),)),
        replace(ASKED, sampling={"top_p": 0.5, "stop": ["x"], "seed": 3}),
        replace(ASKED, max_tokens=77, temperature=0.0, model=None),
    ],
    ids=str,
)
def test_the_same_question(asked: Question):
    assert name(asked) == name() is not None


def test_what_may_be_answered_otherwise_has_no_name():
    assert name(replace(ASKED, temperature=0.1)) is None
    assert name(served=replace(SERVED, temperature=0.7)) is None
    assert name(replace(ASKED, sampling={"num_logprobs": 0})) is None
