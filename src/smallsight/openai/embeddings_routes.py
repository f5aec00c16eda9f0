"""The route that embeds texts, and pictures with a model that embeds both."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.answering.picture_links import PictureLinks
from smallsight.answering.question import PictureLink
from smallsight.errors import BadRequestError, UnknownModelError
from smallsight.http.authorise import Gate, UseRoute
from smallsight.http.event_stream import ClientLeftError, while_connected
from smallsight.inventory.embedding_models import PictureModel
from smallsight.openai.embeddings_request import EmbeddableInput, EmbeddingsRequest
from smallsight.openai.route_answers import VECTORS
from smallsight.services.picture_vectors import PictureVectors
from smallsight.services.text_model import TextModel

if TYPE_CHECKING:
    import numpy as np

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["embeddings"])

_CLIENT_LEFT = 499


@dataclass(frozen=True, slots=True, eq=False)
class _EmbeddedRequest:
    """The vectors of one request, with the model's name and the tokens that it read."""

    model: str
    vectors: Sequence[np.ndarray]
    num_tokens: int


@router.post("/embeddings", responses=VECTORS)
async def embeddings(request: Request, body: EmbeddingsRequest) -> Response:
    """Embed texts with the library's text model; of a long one only the first 256 tokens.

    With the name of a picture embedding model: texts and pictures, whose vectors can be compared.
    """
    text_model: TextModel = request.app.state.text_model
    gate: Gate = request.app.state.gate
    picture_model = None
    if body.model and not text_model.is_named(body.model):
        picture_model = await asyncio.to_thread(request.app.state.picture_vectors.find, body.model)
        if picture_model is None:
            raise await _unknown(request, body.model)
    with gate.admission.slot(request.state.client):
        work = _texts(text_model, body) if picture_model is None else _items(request, picture_model, body)
        try:
            embedded = await while_connected(request.receive, work)
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    written = await asyncio.to_thread(_written, embedded, body.encoding_format)
    return Response(written, media_type="application/json")


async def _texts(text_model: TextModel, body: EmbeddingsRequest) -> _EmbeddedRequest:
    embedded = await text_model.embed(body.texts())
    _require_dimensions(text_model.name, embedded.vectors.shape[1], body.dimensions)
    return _EmbeddedRequest(text_model.name, list(embedded.vectors), embedded.num_tokens)


async def _items(request: Request, model: PictureModel, body: EmbeddingsRequest) -> _EmbeddedRequest:
    """Embed texts and pictures; http(s) URLs are fetched only where the operator allows it."""
    links: PictureLinks = request.app.state.picture_links
    vectors: PictureVectors = request.app.state.picture_vectors
    items: list[EmbeddableInput] = body.items()
    files = await links.gather([one for one in items if isinstance(one, PictureLink)])
    embedded = await vectors.embed(
        model, [files[one.url] if isinstance(one, PictureLink) else one for one in items]
    )
    _require_dimensions(model.name, len(embedded[0].vector_D), body.dimensions)
    num_tokens = sum(one.num_tokens for one in embedded)
    return _EmbeddedRequest(model.name, [one.vector_D for one in embedded], num_tokens)


async def _unknown(request: Request, name: str) -> UnknownModelError:
    text_model: TextModel = request.app.state.text_model
    usual = await asyncio.to_thread(request.app.state.picture_vectors.find, None)
    also = "" if usual is None else f", or {usual.name!r} for texts and pictures"
    return UnknownModelError(
        f"There is no model called {name!r} that embeds texts.", hint=f"use {text_model.name!r}{also}."
    )


def _require_dimensions(name: str, num_dimensions: int, wanted: int | None) -> None:
    if wanted not in (None, num_dimensions):
        raise BadRequestError(
            f"{name} has {num_dimensions} dimensions, not {wanted}.",
            hint="leave dimensions out: the model was not trained for shorter vectors.",
            param="dimensions",
        )


def _written(embedded: _EmbeddedRequest, encoding_format: str | None) -> str:
    """Return the answer as JSON; a vector is numbers, or little-endian float32 in base64.

    Each is written by itself: one call for all of them would keep every other thread from running.
    """
    rows: list[str] = []
    for vector_D in embedded.vectors:
        if encoding_format == "base64":
            row = json.dumps(base64.b64encode(vector_D.astype("<f4").tobytes()).decode("ascii"))
        else:
            row = json.dumps(vector_D.tolist(), separators=(",", ":"))
        rows.append(f'{{"object":"embedding","index":{len(rows)},"embedding":{row}}}')
    usage = json.dumps({"prompt_tokens": embedded.num_tokens, "total_tokens": embedded.num_tokens})
    name = json.dumps(embedded.model)
    return f'{{"object":"list","data":[{",".join(rows)}],"model":{name},"usage":{usage}}}'
