"""The state that routes which answer questions share: ``app.state.answering`` of each tenant."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from smallsight.answering.asking import Asking
from smallsight.answering.cost import AnswerMetrics
from smallsight.inventory.served_models import ServedModels


@dataclass(frozen=True, slots=True)
class RouteState:
    """State of all requests; belongs to the event loop."""

    models: ServedModels
    asking: Asking
    metrics: AnswerMetrics


def route_state(request: Request) -> RouteState:
    """Return the state of this request's application."""
    state: RouteState = request.app.state.answering
    return state
