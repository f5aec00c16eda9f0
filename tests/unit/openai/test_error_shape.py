"""Every error of ours as a client sees it."""

from __future__ import annotations

import json

import pytest

from smallsight import errors
from smallsight.errors import MemoryBudgetError, ModelError, SmallsightError, TooManyRequestsError
from smallsight.openai.error_shape import error_body, error_response, invalid_request, json_response

CLASSES = [getattr(errors, name) for name in errors.__all__]
SECRET = "/somewhere/secret"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_the_one_shape_and_its_status(kind: type[SmallsightError]):
    response = error_response(kind("Something failed.", hint="mend it."))
    assert response.status_code == kind.http_status
    body = json.loads(response.body)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"].endswith("_error")
    assert body["error"]["code"]


@pytest.mark.parametrize("kind", [one for one in CLASSES if one.http_status == 500], ids=lambda k: k.__name__)
def test_failures_of_ours_do_not_tell_where_things_are(kind: type[SmallsightError]):
    assert SECRET not in error_response(kind(f"Broken: {SECRET}.", hint=SECRET)).body.decode()


def test_what_is_worth_asking_again_says_when():
    assert error_response(TooManyRequestsError("Full.", retry_after_s=3)).headers["retry-after"] == "3"
    assert int(error_response(MemoryBudgetError("Full.")).headers["retry-after"]) > 0
    assert "retry-after" not in error_response(ModelError("Broken.")).headers


@pytest.mark.parametrize("text", ["\ud800", "\x00\x1b[31m", "\u202e", "ä" * 5000])
def test_text_of_a_request_cannot_do_harm_in_an_answer(text: str):
    told = error_body(errors.BadRequestError(text))["error"]["message"]
    assert told.isprintable()
    assert len(told) <= 1000
    assert json_response({"a": text}).body.isascii()


def test_what_is_wrong_with_a_body_names_its_place():
    problem = {"type": "int_type", "loc": ("body", "messages", 0, "role"), "msg": "Input\n should be"}
    error = invalid_request([problem])
    assert (error.message, error.param) == ("messages.0.role: Input should be.", "messages.0.role")
    assert "not JSON" in invalid_request([{"type": "json_invalid", "loc": ("body", 5), "msg": "x"}]).message
    assert "object" in invalid_request([{"type": "missing", "loc": ("body",), "msg": "x"}]).message
