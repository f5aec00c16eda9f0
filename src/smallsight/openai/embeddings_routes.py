"""The route that embeds texts."""

from __future__ import annotations

import asyncio
import base64
import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.errors import BadRequestError
from smallsight.http.authorise import Gate, UseRoute
from smallsight.http.event_stream import ClientLeftError, while_connected
from smallsight.openai.embeddings_request import EmbeddingsRequest
from smallsight.openai.route_answers import VECTORS
from smallsight.services.text_model import EmbeddedTexts, TextModel

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["embeddings"])

_CLIENT_LEFT = 499


@router.post("/embeddings", responses=VECTORS)
async def embeddings(request: Request, body: EmbeddingsRequest) -> Response:
    """Embed texts with the library's text model; of a long one only the first 256 tokens."""
    text_model: TextModel = request.app.state.text_model
    gate: Gate = request.app.state.gate
    text_model.require_named(body.model)
    texts = body.texts()
    with gate.admission.slot(request.state.client):
        try:
            embedded = await while_connected(request.receive, text_model.embed(texts))
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    num_dimensions = embedded.vectors.shape[1]
    if body.dimensions not in (None, num_dimensions):
        raise BadRequestError(
            f"{text_model.name} has {num_dimensions} dimensions, not {body.dimensions}.",
            hint="leave dimensions out: the model was not trained for shorter vectors.",
            param="dimensions",
        )
    written = await asyncio.to_thread(_written, text_model.name, embedded, body.encoding_format)
    return Response(written, media_type="application/json")


def _written(name: str, embedded: EmbeddedTexts, encoding_format: str | None) -> str:
    """Return the answer as JSON; a vector is numbers, or little-endian float32 in base64."""
    if encoding_format == "base64":
        rows = [
            json.dumps(base64.b64encode(row.astype("<f4").tobytes()).decode("ascii"))
            for row in embedded.vectors
        ]
    else:
        rows = embedded.rows_json()
    data = ",".join(
        f'{{"object":"embedding","index":{index},"embedding":{row}}}' for index, row in enumerate(rows)
    )
    usage = {"prompt_tokens": embedded.num_tokens, "total_tokens": embedded.num_tokens}
    return f'{{"object":"list","data":[{data}],"model":{json.dumps(name)},"usage":{json.dumps(usage)}}}'
