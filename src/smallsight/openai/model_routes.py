"""The routes that list models."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.answering.route_state import route_state
from smallsight.http.authorise import UseRoute
from smallsight.http.json_response import json_response
from smallsight.inventory.model_list import ListedModel
from smallsight.openai.route_answers import LISTS
from smallsight.services.picture_vectors import PictureVectors
from smallsight.services.text_model import TextModel

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["models"])


@router.get("/models", responses=LISTS)
async def list_models(request: Request) -> Response:
    """List the models that can be used now: their files are here, and this release runs them."""
    known = route_state(request).models
    # Not in a thread while nothing has changed: it would wait for the interpreter behind the models' threads.
    kept = known.kept_list()
    models = await asyncio.to_thread(known.list) if kept is None else kept
    data = [_as_data(model) for model in models]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return json_response({"object": "list", "data": data, "has_more": False, **ends})


@router.get("/models/{model:path}", responses=LISTS)
async def get_model(request: Request, model: str) -> Response:
    """Describe one model, by its name or its repository id; also those that embed, which are not listed."""
    found = await asyncio.to_thread(_find, request, model.strip("/"))
    return json_response(_as_data(found))


def _find(request: Request, name: str) -> ListedModel:
    text_model: TextModel = request.app.state.text_model
    facts = text_model.find() if text_model.is_named(name) else None
    if facts is None:
        vectors: PictureVectors = request.app.state.picture_vectors
        if (picture_model := vectors.find(name)) is not None:
            changed_s = int((picture_model.directory / "config.json").stat().st_mtime)
            return ListedModel(picture_model.name, "smallsight", changed_s, None)
        return route_state(request).models.get(name)
    return ListedModel(facts.name, text_model.owner, int(facts.changed_s), facts.context_tokens)


def _as_data(model: ListedModel) -> dict[str, Any]:
    """Return a model in OpenAI's format, with vLLM's context length and the fields of Anthropic's list."""
    data: dict[str, Any] = {
        "id": model.name,
        "object": "model",
        "created": model.created_s,
        "owned_by": model.owner,
        "type": "model",
        "display_name": model.name,
        "created_at": datetime.fromtimestamp(model.created_s, UTC).isoformat().replace("+00:00", "Z"),
    }
    return data if model.context_tokens is None else data | {"max_model_len": model.context_tokens}
