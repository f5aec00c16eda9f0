"""The routes that list models."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.http.authorise import UseRoute
from smallsight.http.json_response import json_response
from smallsight.inventory.served_models import ListedModel
from smallsight.openai.route_answers import LISTS
from smallsight.openai.route_state import route_state

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["models"])


@router.get("/models", responses=LISTS)
async def list_models(request: Request) -> Response:
    """List the models that can be used now: their files are here, and this release runs them."""
    models = await asyncio.to_thread(route_state(request).models.list)
    return json_response({"object": "list", "data": [_as_data(model) for model in models]})


@router.get("/models/{model:path}", responses=LISTS)
async def get_model(request: Request, model: str) -> Response:
    """Describe one model, by its name or its repository id."""
    return json_response(_as_data(await asyncio.to_thread(route_state(request).models.get, model)))


def _as_data(model: ListedModel) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": model.created_s, "owned_by": model.owner}
