"""Immich's machine-learning service as tenants of a server: `/ping` and `/predict`.

They are at the root because Immich's server drops the path of the URL that it is given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.responses import PlainTextResponse, Response

from smallsight.errors import BadRequestError, PictureTooLargeError
from smallsight.http.event_stream import ClientLeftError, while_connected
from smallsight.http.json_response import json_response
from smallsight.http.route_description import POSTING, answer, body_of, error_answers, schema_of
from smallsight.immich.access import AllowedAddresses, ImmichRoute
from smallsight.immich.error_answer import ImmichErrorBody
from smallsight.immich.search_vectors import SearchVectors
from smallsight.immich.text_in_pictures import TextInPictures
from smallsight.immich.text_vectors import TextVectors
from smallsight.immich.wanted_tasks import wanted_tasks
from smallsight.services.serving import Serving

PING, PREDICT = "/ping", "/predict"
_MAX_FIELDS = 8
_CLIENT_LEFT = 499

ping_router = APIRouter(route_class=ImmichRoute, tags=["immich"])
predict_router = APIRouter(route_class=ImmichRoute, tags=["immich"])


class PredictForm(BaseModel):
    """The form that Immich sends; ``entries`` is JSON."""

    entries: str
    image: Annotated[bytes, Field(json_schema_extra={"format": "binary"})] | None = None
    text: str | None = None


_PONG = error_answers(ImmichErrorBody, 400, 401, 403, 429, 500, 503)
_FOUND = answer("What was found.") | error_answers(ImmichErrorBody, *POSTING)
_FORM = body_of("multipart/form-data", schema_of(PredictForm))


def make_immich_apps(serving: Serving) -> Mapping[str, FastAPI]:
    """Return the applications by their prefixes, none unless the settings ask for them."""
    settings = serving.settings
    if not settings.immich.enabled:
        return {}
    allowed = AllowedAddresses(settings.immich.allowed_addresses)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.pictures = TextInPictures(settings, serving.pictures)
        app.state.vectors = TextVectors(settings)
        app.state.search = SearchVectors(serving.picture_vectors, app.state.vectors)
        app.state.max_file_bytes = settings.limits.max_file_bytes
        yield
        await app.state.pictures.close()
        app.state.vectors.close()

    ping = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    ping.include_router(ping_router)
    predict = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=lifespan
    )
    predict.include_router(predict_router)
    ping.state.allowed = predict.state.allowed = allowed
    return {PING: ping, PREDICT: predict}


@ping_router.get(PING, responses=_PONG, response_class=PlainTextResponse)
async def answer_ping() -> Response:
    """Answer Immich's check of whether the service is there."""
    return PlainTextResponse("pong")


@predict_router.post(PREDICT, responses=_FOUND, openapi_extra=_FORM)
async def predict(request: Request) -> Response:
    """Read the text of ``image``, or embed ``image`` or ``text``, as ``entries`` say."""
    async with request.form(max_files=1, max_fields=_MAX_FIELDS) as form:
        entries, image, text = (form.get(name) for name in ("entries", "image", "text"))
        if not isinstance(entries, str):
            raise BadRequestError("The form has no field entries.", param="entries")
        try:
            found = await while_connected(request.receive, _predicted(request, entries, image, text))
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    return json_response(found)


async def _predicted(
    request: Request, entries: str, image: UploadFile | str | None, text: UploadFile | str | None
) -> dict[str, Any]:
    """Do every task of a request; what cannot be done is refused before anything is computed."""
    wanted = wanted_tasks(entries)
    search: SearchVectors = request.app.state.search
    model = await search.model_of(wanted)
    found: dict[str, Any] = {}
    if wanted.reads_text or wanted.visual_model is not None:
        task = "ocr" if wanted.reads_text else "clip (visual)"
        if not isinstance(image, UploadFile):
            raise BadRequestError(f"The task {task} needs a file in the field image.", param="image")
        _require_small(image, request.app.state.max_file_bytes)
    if wanted.reads_text and isinstance(image, UploadFile):
        found |= await _read(request, image, wanted.min_confidence)
    if wanted.visual_model is not None and isinstance(image, UploadFile) and model is not None:
        await image.seek(0)
        found |= await search.of_picture(model, await image.read())
    if wanted.textual_model is not None:
        if not isinstance(text, str):
            raise BadRequestError("The task clip (textual) needs the field text.", param="text")
        found["clip"] = await search.of_text(model, text)
    return found


def _require_small(image: UploadFile, max_bytes: int) -> None:
    if image.size is not None and image.size > max_bytes:
        raise PictureTooLargeError(
            f"The picture has {image.size} bytes (limit {max_bytes}).", hint="raise limits.max_file_bytes."
        )


async def _read(request: Request, image: UploadFile, min_confidence: float) -> dict[str, Any]:
    """Read the text of a posted picture when it is the client's turn; until then it stays on disk."""
    pictures: TextInPictures = request.app.state.pictures
    async with pictures.line.slot(request.state.client):
        return await pictures.read(await image.read(), min_confidence)
