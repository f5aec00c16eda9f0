"""What the routes of Ollama's protocol use: ``app.state.ollama``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from fastapi import Request

from smallsight.ollama.ollama_models import OllamaModels
from smallsight.services.model_downloads import ModelDownloads
from smallsight.services.serving import Serving
from smallsight.services.text_model import TextModel

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class OllamaParts:
    """The parts of one server."""

    serving: Serving
    text_model: TextModel
    cards: OllamaModels
    downloads: ModelDownloads

    async def in_thread(self, work: Callable[..., _Value], *arguments: Any) -> _Value:  # noqa: ANN401
        """Run work that reads files outside the event loop."""
        return await asyncio.to_thread(partial(work, *arguments))


def parts_of(request: Request) -> OllamaParts:
    """Return the parts of this request's application."""
    parts: OllamaParts = request.app.state.ollama
    return parts
