"""OpenAI's protocol as one tenant of a server: adds its routes and their dependencies."""

from __future__ import annotations

from fastapi import FastAPI

from smallsight.http.admission import Admission
from smallsight.http.remote_pictures import RemotePictures
from smallsight.openai import answer_routes, model_routes
from smallsight.openai.asking import Asking
from smallsight.openai.picture_links import PictureLinks
from smallsight.openai.route_state import RouteState
from smallsight.openai.usage import AnswerMetrics
from smallsight.services.serving import Serving


def add_openai_routes(
    app: FastAPI, serving: Serving, admission: Admission, metrics: AnswerMetrics, remote: RemotePictures
) -> Asking:
    """Add the routes under ``/v1`` to an application; the caller closes the returned object."""
    settings = serving.settings
    pictures = PictureLinks(
        serving.pictures,
        remote,
        max_pictures=settings.server.max_pictures,
        max_videos=settings.server.max_videos,
        max_pixels=settings.limits.max_image_pixels,
    )
    asking = Asking(serving, admission, pictures)
    app.state.openai = RouteState(serving.models, asking, metrics)
    app.include_router(answer_routes.router)
    app.include_router(model_routes.router)
    return asking
