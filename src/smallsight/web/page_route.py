"""A route of the web app: who may use it, and that a change comes from one of its pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

from starlette.convertors import register_url_convertor
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from smallsight.errors import ForbiddenError, LoginRequiredError
from smallsight.http.authorise import SocketEndpoint
from smallsight.library.edit_journal import current_editor
from smallsight.web.form_token import FIELD, HEADER
from smallsight.web.page_access import OPEN
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.record_ids import RecordIdConvertor
from smallsight.web.visitor import PageRight, Visitor

Endpoint = Callable[[Request], Awaitable[Response]]

_READS = ("GET", "HEAD")
register_url_convertor("id", RecordIdConvertor())  # in paths: {content_id:id}


def page_route(
    path: str,
    endpoint: Endpoint,
    methods: Sequence[str] = ("GET",),
    right: PageRight = PageRight.MANAGE,
    *,
    lets_share: bool = False,
) -> Route:
    """Return a route whose endpoint is called only for people who have a right.

    ``lets_share`` also takes changes without a token that the browser sends for no page: what a person shares
    from another app. A page cannot send these: browsers set ``Sec-Fetch-Site`` themselves.
    """

    async def guarded(request: Request) -> Response:
        parts = parts_of(request)
        try:
            visitor = parts.access.require(request)
        except LoginRequiredError:
            if _shows_a_page(request):
                return RedirectResponse(f"{parts.prefix}/login?{urlencode({'next': _address(request)})}", 303)
            raise
        await _note_use(parts, request)
        is_shared = lets_share and request.headers.get("sec-fetch-site") == "none"
        return await respond(request, endpoint, visitor, right, needs_token=not is_shared)

    return Route(path, guarded, methods=list(methods), name=endpoint.__name__)


def public_route(path: str, endpoint: Endpoint, methods: Sequence[str] = ("GET",)) -> Route:
    """Return a route for everyone who can reach the server; a change needs the token of its page."""

    async def guarded(request: Request) -> Response:
        return await respond(request, endpoint, Visitor(OPEN, frozenset({PageRight.LOOK})))

    return Route(path, guarded, methods=list(methods), name=endpoint.__name__)


def page_socket(path: str, endpoint: SocketEndpoint) -> WebSocketRoute:
    """Return a WebSocket route for people who may use the app; it refuses before accepting the handshake."""

    async def guarded(websocket: WebSocket) -> None:
        visitor = parts_of(websocket).access.require(websocket)
        visitor.require(PageRight.LOOK)
        websocket.state.visitor = visitor
        await endpoint(websocket)

    return WebSocketRoute(path, guarded, name=getattr(endpoint, "__name__", "socket"))


async def respond(
    request: Request,
    endpoint: Endpoint,
    visitor: Visitor,
    right: PageRight = PageRight.LOOK,
    *,
    needs_token: bool = True,
) -> Response:
    """Call an endpoint; raises ForbiddenError without the right, and for a change without its token."""
    tokens = parts_of(request).form_tokens
    session = visitor.session
    request.state.session, request.state.visitor = session, visitor
    current_editor.set(visitor.name or "")  # each request has its own context
    request.state.form_token = tokens.token(session)
    is_change = needs_token and request.method not in _READS
    try:
        visitor.require(right)
        if is_change and not tokens.is_valid(await _given_token(request), session):
            raise ForbiddenError(
                "This page is too old, or the request is not from a page of this server.",
                hint="load the page again.",
            )
        return await endpoint(request)
    finally:
        await request.close()  # the temporary files of a form


async def _given_token(request: Request) -> str:
    if given := request.headers.get(HEADER):
        return given
    is_form = request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/")
    )
    value = (await request.form()).get(FIELD) if is_form else None
    return value if isinstance(value, str) else ""


def _shows_a_page(request: Request) -> bool:
    """Return whether the response is shown as a page, not put into one or read by a script."""
    mode = request.headers.get("sec-fetch-mode")
    is_page = mode == "navigate" if mode else "text/html" in request.headers.get("accept", "")
    return is_page and request.method == "GET" and "hx-request" not in request.headers


def _address(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


async def _note_use(parts: WebParts, request: Request) -> None:
    session = parts.access.session_of(request)
    if session is not None and parts.access.sessions.is_noted_late(session):
        await parts.in_thread(lambda: parts.access.sessions.note_use(session))
