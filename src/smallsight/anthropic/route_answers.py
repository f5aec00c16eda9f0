"""What the routes of Anthropic's protocol answer with, for the description in `/openapi.json`."""

from __future__ import annotations

from smallsight.anthropic.error_answer import AnthropicErrorBody
from smallsight.http.route_description import ASKING, RouteAnswers, answer, error_answers

MESSAGE: RouteAnswers = {
    **answer("The message: an object, or events where `stream` is true.", "text/event-stream"),
    **error_answers(AnthropicErrorBody, *ASKING),
}
COUNT = {**answer("The number of tokens."), **error_answers(AnthropicErrorBody, *ASKING)}
