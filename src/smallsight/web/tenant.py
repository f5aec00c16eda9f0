"""The web app as one tenant of a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.websockets import WebSocket

from smallsight.http.authorise import SocketEndpoint
from smallsight.http.sessions import Sessions, sessions_path
from smallsight.services.display_pictures import DisplayPictures
from smallsight.services.library_descriptions import LibraryDescriptions
from smallsight.services.library_keeper import LibraryKeeper
from smallsight.services.library_suggestions import LibrarySuggestions
from smallsight.services.model_management import ModelManagement
from smallsight.services.opened_library import OpenedLibrary
from smallsight.services.picture_questions import PictureQuestions
from smallsight.services.query_pictures import QueryPictures
from smallsight.services.serving import Serving
from smallsight.services.uploads import Uploads
from smallsight.web import (
    ask_routes,
    bulk_actions,
    describe_pages,
    display_routes,
    duplicate_pages,
    folder_pages,
    fresh_pictures,
    gallery_pages,
    installed_app,
    live_pages,
    login_pages,
    look_routes,
    model_pages,
    picture_pages,
    posted_picture,
    saved_search_routes,
    settings_pages,
    suggestion_pages,
    tag_pages,
    upload_pages,
    upload_routes,
)
from smallsight.web.assets import Assets
from smallsight.web.form_token import FormTokens
from smallsight.web.live_socket import keep_up_to_date
from smallsight.web.live_updates import LiveUpdates, Topic
from smallsight.web.page_access import PageAccess
from smallsight.web.page_errors import PageErrors
from smallsight.web.page_headers import PageHeaders
from smallsight.web.page_renderer import PageRenderer
from smallsight.web.page_route import page_route, page_socket, public_route
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.visitor import PageRight

PREFIX = "/app"
LOOK, ASK, EDIT = PageRight.LOOK, PageRight.ASK, PageRight.EDIT  # the other routes need PageRight.MANAGE


@dataclass(frozen=True, slots=True)
class WebApp:
    """The pages, to be mounted at ``PREFIX``, and how they show errors."""

    app: Starlette
    errors: PageErrors


def make_web_app(serving: Serving, *, reads_only: bool = False) -> WebApp:
    """Wire the pages; the lifespan of the application closes what they use.

    With ``reads_only`` another process of this server indexes and describes.
    """
    settings = serving.settings
    assets = Assets(PREFIX)
    pages = PageRenderer(assets, PREFIX)
    library, updates = OpenedLibrary(settings), LiveUpdates()
    parts = WebParts(
        PREFIX,
        serving,
        library,
        DisplayPictures(settings),
        QueryPictures(settings),
        PictureQuestions(serving),
        LibraryDescriptions(serving, library, lambda _: updates.publish(Topic.RUNS)),
        _make_keeper(serving, library, updates),
        Uploads(settings),
        pages,
        assets,
        FormTokens(settings.home / "web-secret"),
        PageAccess(serving.password, serving.keys, Sessions(sessions_path(settings.home))),
        updates,
        ModelManagement.of_server(serving, partial(updates.publish, Topic.MODELS)),
        LibrarySuggestions(serving.live.current, library),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's shape
        if reads_only:
            yield
        else:
            parts.keeper.start()
            await parts.in_thread(parts.descriptions.resume)
            yield
            await asyncio.to_thread(parts.descriptions.stop)
            await asyncio.to_thread(parts.keeper.stop)  # it may wait for a model, which the loop hands out
        parts.close()

    app = Starlette(routes=_routes(parts), middleware=[Middleware(PageHeaders)], lifespan=lifespan)
    app.state.web = parts
    pages.set_places(route.path for route in app.routes if isinstance(route, Route))
    return WebApp(app, PageErrors(pages))


def _make_keeper(serving: Serving, library: OpenedLibrary, updates: LiveUpdates) -> LibraryKeeper:
    def on_change() -> None:
        updates.publish(Topic.WORK)
        updates.publish(Topic.FOLDERS)

    def on_library() -> None:
        updates.publish(Topic.LIBRARY)
        updates.publish(Topic.FOLDERS)

    return LibraryKeeper(serving.live, library, serving.pool, on_change=on_change, on_library=on_library)


def _events(parts: WebParts) -> SocketEndpoint:
    """Return the endpoint of the socket that keeps pages up to date."""
    renderers = {
        **folder_pages.renderers(parts),
        **fresh_pictures.renderers(parts),
        **describe_pages.renderers(parts),
        **model_pages.renderers(parts),
    }

    async def events(websocket: WebSocket) -> None:
        await keep_up_to_date(websocket, renderers)

    return events


def _routes(parts: WebParts) -> list[BaseRoute]:
    return [
        page_route("/", gallery_pages.gallery, right=LOOK),
        page_route("/results", gallery_pages.results, right=LOOK),
        page_route("/tiles", gallery_pages.tiles, right=LOOK),
        page_route("/look", look_routes.search_by_picture, ("POST",), right=LOOK),
        page_route("/describe", describe_pages.describe),
        page_route("/describe/start", describe_pages.start, ("POST",)),
        page_route("/describe/{run_id:id}/{action}", describe_pages.change, ("POST",)),
        page_route("/duplicates", duplicate_pages.duplicates),
        page_route("/duplicates/decide", duplicate_pages.decide, ("POST",)),
        page_route("/left-out", duplicate_pages.left_out),
        page_route("/left-out/back", duplicate_pages.take_back, ("POST",)),
        page_route("/bulk", bulk_actions.change_many, ("POST",), right=EDIT),
        page_route("/saved", saved_search_routes.save, ("POST",), right=EDIT),
        page_route("/saved/{search_id:id}/remove", saved_search_routes.remove, ("POST",), right=EDIT),
        page_route("/pictures/{content_id:id}", picture_pages.picture, right=LOOK),
        page_route("/pictures/{content_id:id}/edit", picture_pages.edit, ("POST",), right=EDIT),
        page_route("/pictures/{content_id:id}/description", picture_pages.description, right=LOOK),
        page_route("/pictures/{content_id:id}/regenerate", picture_pages.regenerate, ("POST",), right=EDIT),
        page_route(
            "/pictures/{content_id:id}/restore", picture_pages.restore_description, ("POST",), right=EDIT
        ),
        page_route("/pictures/{content_id:id}/ask", ask_routes.ask, ("POST",), right=ASK),
        page_route("/thumbs/{side_px:id}/{sha256}", display_routes.thumbnail, right=LOOK),
        page_route("/files/{sha256}", display_routes.original, right=LOOK),
        page_socket("/events", _events(parts)),
        *_access_routes(),
        page_route("/folders", folder_pages.folders),
        page_route("/folders/choose", folder_pages.choose),
        page_route("/folders/add", folder_pages.add, ("POST",)),
        page_route("/folders/examples", folder_pages.add_examples, ("POST",)),
        page_route("/folders/remove", folder_pages.ask_to_remove),
        page_route("/folders/remove", folder_pages.remove, ("POST",)),
        page_route("/folders/scan", folder_pages.scan, ("POST",)),
        page_route("/folders/retry", folder_pages.retry, ("POST",)),
        page_route("/folders/stop", folder_pages.stop, ("POST",)),
        page_route("/uploads", upload_pages.uploads, right=EDIT),
        page_route("/uploads/panel", upload_pages.panel, right=EDIT),
        page_route("/uploads/form", upload_pages.send_form, ("POST",), right=EDIT),
        page_route("/uploads/share", upload_pages.share, ("POST",), lets_share=True, right=EDIT),
        page_route("/uploads", upload_routes.create, ("POST",), right=EDIT),
        page_route("/uploads/{upload_id}", upload_routes.progress, ("HEAD",), right=EDIT),
        page_route("/uploads/{upload_id}", upload_routes.receive, ("PATCH",), right=EDIT),
        page_route("/uploads/{upload_id}", upload_routes.cancel, ("DELETE",), right=EDIT),
        *_model_routes(),
        *_settings_routes(),
        Route("/static/{name:path}", _static),
    ]


def _access_routes() -> list[BaseRoute]:
    post = ("POST",)
    return [
        public_route("/login", login_pages.login_page),
        public_route("/login", login_pages.log_in, post),
        page_route("/logout", login_pages.log_out, post, right=LOOK),
        page_route("/sessions", login_pages.sessions_page),
        page_route("/sessions/end", login_pages.end_sessions, post),
        public_route("/manifest.webmanifest", installed_app.manifest),
        public_route("/worker.js", installed_app.worker),
        public_route("/offline", installed_app.offline),
        page_route("/shared", installed_app.shared, right=LOOK),
    ]


def _model_routes() -> list[BaseRoute]:
    post = ("POST",)
    return [
        page_route("/models", model_pages.models),
        page_route("/models/download", model_pages.download, post),
        page_route("/models/cancel", model_pages.cancel_download, post),
        page_route("/models/use", model_pages.use_for_questions, post),
        page_route("/models/describe-with", model_pages.use_for_descriptions, post),
        page_route("/models/servers", model_pages.save_provider, post),
        page_route("/models/servers/remove", model_pages.remove_provider, post),
        page_route("/models/servers/try", model_pages.try_provider, post),
        page_route("/live", live_pages.live, right=ASK),
        page_route("/ask", posted_picture.ask_about_posted, post, right=ASK),
    ]


def _settings_routes() -> list[BaseRoute]:
    post = ("POST",)
    return [
        page_route("/settings", settings_pages.settings),
        page_route("/settings/values", settings_pages.save_values, post),
        page_route("/settings/appearance", settings_pages.save_appearance, post, right=LOOK),
        page_route("/settings/password", login_pages.set_first_password, post),
        page_route("/settings/keys", settings_pages.add_key, post),
        page_route("/settings/keys/remove", settings_pages.remove_key, post),
        page_route("/settings/tags", tag_pages.change, post),
        page_route("/settings/tags/merge", tag_pages.merge, post),
        page_route("/settings/tags/remove", tag_pages.remove, post),
        page_route("/tag-colours.css", tag_pages.colours, right=LOOK),
        page_route("/tags/suggested", suggestion_pages.suggested, right=EDIT),
        page_route("/tags/suggested", suggestion_pages.decide, post, right=EDIT),
        page_route("/pictures/{content_id:id}/suggested", suggestion_pages.decide_for_one, post, right=EDIT),
    ]


async def _static(request: Request) -> Response:
    return parts_of(request).assets.respond(request)
