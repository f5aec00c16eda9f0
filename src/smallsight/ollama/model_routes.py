"""The routes about models: which there are, which are loaded, and what changes them."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.errors import BadRequestError
from smallsight.http.authorise import UseRoute
from smallsight.http.json_response import json_response
from smallsight.http.route_description import json_body
from smallsight.ollama.answer_lines import timestamp
from smallsight.ollama.chat_body import ModelTag, model_name
from smallsight.ollama.ollama_models import OllamaModel
from smallsight.ollama.parts import OllamaParts, parts_of
from smallsight.ollama.request_body import read_body
from smallsight.ollama.route_answers import LISTED, POSTED
from smallsight.ollama.sampling import OllamaBody
from smallsight.version import __version__

router = APIRouter(route_class=UseRoute, tags=["ollama"])

OLLAMA_VERSION = "0.32.3"  # whose routes these follow: clients ask for a least version
_READY = "ready"
_FOR_ALWAYS_S = 100 * 365 * 24 * 3600.0


class ModelBody(OllamaBody):
    """The name of a model; older clients call it ``name``."""

    model: ModelTag | None = None
    name: ModelTag | None = None

    @property
    def wanted(self) -> str:
        """The name without its tag; raises BadRequestError if there is none."""
        found = model_name(self.model or self.name or "")
        if found is None:
            raise BadRequestError(
                "The request names no model.", hint="GET /api/tags lists them.", param="model"
            )
        return found


@router.get("/version", responses=LISTED)
async def version(request: Request) -> Response:  # noqa: ARG001
    """Return the version of Ollama whose protocol this is."""
    return json_response({"version": OLLAMA_VERSION, "server": f"smallsight {__version__}"})


@router.get("/tags", responses=LISTED)
async def tags(request: Request) -> Response:
    """List the models that can be used now."""
    parts = parts_of(request)
    cards = await parts.in_thread(parts.cards.all)
    return json_response({"models": [card.listed() for card in cards]})


@router.post("/show", responses=POSTED, openapi_extra=json_body(ModelBody))
async def show(request: Request) -> Response:
    """Describe one model."""
    body, parts = await read_body(request, ModelBody), parts_of(request)
    card = await parts.in_thread(parts.cards.find, body.wanted)
    return json_response(card.shown())


@router.get("/ps", responses=LISTED)
async def ps(request: Request) -> Response:
    """List the models in memory, and until when they stay."""
    parts = parts_of(request)
    return json_response({"models": await parts.in_thread(_loaded, parts)})


def _loaded(parts: OllamaParts) -> list[dict[str, Any]]:
    pool, text_model = parts.serving.pool, parts.text_model
    shown = [
        _in_memory(parts.cards.find(one.name), one.charged_bytes, one.expires_in_s)
        for one in pool.loaded()
        if one.stage == _READY
    ]
    if text_model.is_loaded:
        card = parts.cards.find(text_model.name)
        shown.append(_in_memory(card, card.size_bytes, text_model.expires_in_s))
    return shown


def _in_memory(card: OllamaModel, size_bytes: int, expires_in_s: float | None) -> dict[str, Any]:
    left_s = _FOR_ALWAYS_S if expires_in_s is None else expires_in_s
    return {
        "name": card.tagged_name,
        "model": card.tagged_name,
        "size": size_bytes,
        "digest": card.digest,
        "details": card.details(),
        "expires_at": timestamp(time.time() + left_s),
        "size_vram": 0,
        "context_length": card.context_length or 0,
    }


@router.delete("/delete", include_in_schema=False)
@router.post("/create", include_in_schema=False)
@router.post("/copy", include_in_schema=False)
@router.post("/push", include_in_schema=False)
async def refuse(request: Request) -> Response:
    """Refuse: models are managed by the operator."""
    name = request.url.path.rpartition("/")[2]
    raise BadRequestError(
        f"Models cannot be changed over this protocol: {name}.",
        hint="the operator uses `smallsight models add`, `add-variant` and `remove`.",
    )
