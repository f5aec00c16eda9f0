"""What the routes of Ollama's protocol answer with, for the description in `/openapi.json`."""

from __future__ import annotations

from smallsight.http.route_description import ASKING, POSTING, READING, RouteAnswers, answer, error_answers
from smallsight.ollama.ollama_errors import OllamaErrorBody

_LINES = "application/x-ndjson"

ANSWER_LINES: RouteAnswers = {
    **answer("The answer: lines, or one object where `stream` is false.", _LINES),
    **error_answers(OllamaErrorBody, *ASKING),
}
PULL_LINES: RouteAnswers = {
    **answer("The progress: lines, or one object at the end where `stream` is false.", _LINES),
    **error_answers(OllamaErrorBody, *POSTING, 502),
}
POSTED = {**answer("The answer."), **error_answers(OllamaErrorBody, *POSTING)}
LISTED = {**answer("The list."), **error_answers(OllamaErrorBody, *READING)}
