"""Every error of ours as a client of OpenAI's protocol sees it."""

from __future__ import annotations

import json

import pytest

from error_classes import ERROR_CLASSES
from smallsight import errors
from smallsight.errors import MemoryBudgetError, ModelError, SmallsightError, TooManyRequestsError
from smallsight.http.error_shape import error_response
from smallsight.openai.answer_routes import chat_error
from smallsight.openai.error_answer import OpenAIErrors, error_body

CLASSES = ERROR_CLASSES
SECRET = "/somewhere/secret"
SHAPE = OpenAIErrors()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_the_one_shape_and_its_status(kind: type[SmallsightError]):
    response = error_response(kind("Something failed.", hint="fix it."), SHAPE)
    assert response.status_code == kind.http_status
    body = json.loads(response.body)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"].endswith("_error")
    assert body["error"]["code"]


@pytest.mark.parametrize("kind", [one for one in CLASSES if one.http_status == 500], ids=lambda k: k.__name__)
def test_failures_of_ours_do_not_say_where_things_are(kind: type[SmallsightError]):
    error = kind(f"Broken: {SECRET}.", hint=SECRET)
    assert SECRET not in error_response(error, SHAPE).body.decode()
    assert SECRET not in chat_error(error).decode()


def test_what_is_worth_asking_again_says_when():
    def retry_after(error: SmallsightError) -> str | None:
        return error_response(error, SHAPE).headers.get("retry-after")

    assert retry_after(TooManyRequestsError("Full.", retry_after_s=3)) == "3"
    assert int(retry_after(MemoryBudgetError("Full.")) or 0) > 0
    assert retry_after(ModelError("Broken.")) is None


@pytest.mark.parametrize("text", ["\ud800", "\x00\x1b[31m", "\u202e", "ä" * 5000])
def test_text_of_a_request_cannot_do_harm_in_an_answer(text: str):
    message = error_body(errors.BadRequestError(text))["error"]["message"]
    assert message.isprintable()
    assert len(message) <= 1000
    assert SHAPE.of_status(404, message).body.isascii()
