"""The routes that embed texts: `/api/embed`, and its older form `/api/embeddings`."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from smallsight.answering.texts_only import picture_refused, require_texts
from smallsight.errors import BadRequestError
from smallsight.http.authorise import Gate, UseRoute
from smallsight.http.event_stream import ClientLeftError, while_connected
from smallsight.http.json_response import json_response
from smallsight.http.route_description import json_body
from smallsight.ollama.chat_body import KeepAlive, ModelTag, model_name
from smallsight.ollama.keep_alive import keep_alive_s
from smallsight.ollama.parts import parts_of
from smallsight.ollama.request_body import read_body
from smallsight.ollama.route_answers import POSTED
from smallsight.ollama.sampling import OllamaBody
from smallsight.services.text_model import EmbeddedTexts

router = APIRouter(route_class=UseRoute, tags=["ollama"])

_MAX_TEXTS = 2048
_CLIENT_LEFT = 499

Texts = Annotated[list[str], Field(max_length=_MAX_TEXTS, fail_fast=True)]


def _texts_only(given: object) -> object:
    require_texts(given, "input")
    return given


def _prompt_only(given: object) -> object:
    require_texts(given, "prompt")
    return given


def _no_pictures(given: object) -> None:
    if given:
        raise picture_refused("images")


NoPictures = Annotated[None, BeforeValidator(_no_pictures)]


class EmbedBody(OllamaBody):
    """Texts to embed."""

    model: ModelTag = ""
    input: Annotated[str | Texts | None, BeforeValidator(_texts_only)] = None
    images: NoPictures = None
    truncate: bool | None = None
    keep_alive: KeepAlive = None
    dimensions: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


class OldEmbedBody(OllamaBody):
    """One text to embed."""

    model: ModelTag = ""
    prompt: Annotated[str | None, BeforeValidator(_prompt_only)] = None
    images: NoPictures = None
    keep_alive: KeepAlive = None


@router.post("/embed", responses=POSTED, openapi_extra=json_body(EmbedBody))
async def embed(request: Request) -> Response:
    """Embed texts with the library's text model; long ones are cut unless `truncate` is false."""
    began_s = time.perf_counter()
    body = await read_body(request, EmbedBody)
    texts = [body.input] if isinstance(body.input, str) else list(body.input or ())
    embedded = await _embed(request, body, [one for one in texts if one or len(texts) > 1])
    if embedded is None:
        return Response(status_code=_CLIENT_LEFT)
    if body.truncate is False and embedded.num_cut:
        raise BadRequestError(
            "The input is longer than the context of 256 tokens.", hint="leave truncate out.", param="input"
        )
    num_dimensions = embedded.vectors.shape[1]
    if body.dimensions not in (None, 0, num_dimensions):
        raise BadRequestError(
            f"The model has {num_dimensions} dimensions, not {body.dimensions}.",
            hint="leave dimensions out: the model was not trained for shorter vectors.",
            param="dimensions",
        )
    rows = await parts_of(request).in_thread(embedded.rows_json)
    rest = {
        "model": body.model or parts_of(request).text_model.name,
        "total_duration": max(1, int((time.perf_counter() - began_s) * 1e9)),
        "load_duration": max(1, int(embedded.load_s * 1e9)),
        "prompt_eval_count": embedded.num_tokens,
    }
    written = f'{{"embeddings":[{",".join(rows)}],{json.dumps(rest)[1:]}'
    return Response(written, media_type="application/json")


@router.post("/embeddings", responses=POSTED, openapi_extra=json_body(OldEmbedBody))
async def old_embed(request: Request) -> Response:
    """Embed one text."""
    body = await read_body(request, OldEmbedBody)
    embedded = await _embed(request, body, [body.prompt] if body.prompt else [])
    if embedded is None:
        return Response(status_code=_CLIENT_LEFT)
    vector: list[Any] = embedded.vectors[0].tolist() if len(embedded.vectors) else []
    return json_response({"embedding": vector})


async def _embed(request: Request, body: EmbedBody | OldEmbedBody, texts: list[str]) -> EmbeddedTexts | None:
    """Embed texts and keep the model for as long as the client asks; None if the client has left."""
    text_model = parts_of(request).text_model
    gate: Gate = request.app.state.gate
    text_model.require_named(model_name(body.model))
    kept_s = keep_alive_s(body.keep_alive)
    with gate.admission.slot(request.state.client):
        try:
            embedded = await while_connected(request.receive, text_model.embed(texts))
        except ClientLeftError:
            return None
    if kept_s is not None:
        text_model.keep_for(kept_s)
    return embedded
