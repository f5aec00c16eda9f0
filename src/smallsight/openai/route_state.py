"""The state that the routes of this protocol share: ``app.state.openai``."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from smallsight.inventory.served_models import ServedModels
from smallsight.openai.asking import Asking
from smallsight.openai.usage import AnswerMetrics


@dataclass(frozen=True, slots=True)
class RouteState:
    """State of all requests; belongs to the event loop."""

    models: ServedModels
    asking: Asking
    metrics: AnswerMetrics


def route_state(request: Request) -> RouteState:
    """Return the state of this request's application."""
    state: RouteState = request.app.state.openai
    return state
