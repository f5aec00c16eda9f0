"""The statuses that routes may answer with, for the description in `/openapi.json`."""

from __future__ import annotations

from smallsight.http.route_description import ASKING, POSTING, READING, RouteAnswers, answer, error_answers
from smallsight.openai.error_answer import OpenAIErrorBody

ANSWERS: RouteAnswers = {
    **answer("The answer: an object, or events where `stream` is true.", "text/event-stream"),
    **error_answers(OpenAIErrorBody, *ASKING),
}
VECTORS = error_answers(OpenAIErrorBody, *POSTING)
LISTS = error_answers(OpenAIErrorBody, *READING)
HEALTH = error_answers(OpenAIErrorBody, 400, 401, 403, 503)
PAGES = error_answers(OpenAIErrorBody, 400)
