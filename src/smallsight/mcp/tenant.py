"""The protocol over streamable HTTP, as one tenant of a server.

Every request stands alone: there are no sessions to take over, and no stream that stays open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from smallsight.errors import BadRequestError, RequestTooLargeError
from smallsight.http.api_keys import Scope as KeyScope
from smallsight.http.authorise import Gate, authorise, has_key_for
from smallsight.http.error_shape import public_message
from smallsight.http.event_stream import ClientLeftError, while_connected
from smallsight.mcp.late_models import LateModels
from smallsight.mcp.package import require_package
from smallsight.mcp.parts import Caller, McpParts
from smallsight.services.serving import Serving

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PREFIX = "/mcp"
_MAX_BODY_BYTES = 1024 * 1024


class McpEndpoint:
    """The one address of the protocol: checks who asks, and hands the request to the package."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._parts: McpParts | None = None
        self._running: asyncio.Task[None] | None = None
        self._started: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._stopping = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises SmallsightError before anything has been sent."""
        request = Request(scope, receive)
        client = authorise(request, KeyScope.USE)
        if request.method != "POST":
            raise HTTPException(405, headers={"allow": "POST"})
        gate: Gate = request.app.state.gate
        gate.admission.require_room(client)
        if not request.headers.get("content-type", "").lower().startswith("application/json"):
            raise BadRequestError("The body is not JSON.", hint="send the content type application/json.")
        request.state.mcp_caller = Caller(client, has_key_for(request, KeyScope.EDIT))
        body = await request.body()
        if len(body) > _MAX_BODY_BYTES:
            raise RequestTooLargeError(f"The body is too large (limit {_MAX_BODY_BYTES} bytes).")
        manager = await self._manager()
        answering = manager.handle_request(scope, _replayed(body), send)
        try:
            await while_connected(receive, answering)
        except ClientLeftError:
            return

    async def close(self) -> None:
        """Stop what handles requests, and close the library."""
        self._stopping.set()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        if self._parts is not None:
            await self._parts.close()

    async def _manager(self) -> StreamableHTTPSessionManager:
        """Return what handles requests, started by the first one: importing the package takes a second."""
        require_package()
        if self._started is None:
            self._started = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._started))
        return await asyncio.shield(self._started)

    async def _run(self, started: asyncio.Future[StreamableHTTPSessionManager]) -> None:
        """Run the package's task group in one task, as it must be, until the server stops."""
        try:
            transport = await asyncio.to_thread(import_module, "mcp.server.streamable_http_manager")
            protocol = await asyncio.to_thread(import_module, "smallsight.mcp.protocol_server")
            settings = self._serving.settings
            self._parts = McpParts.of(settings, LateModels(self._serving.live, self._serving), public_message)
            server = protocol.ProtocolServer(self._parts, _caller_of).server
            manager: StreamableHTTPSessionManager = transport.StreamableHTTPSessionManager(
                server, json_response=True, stateless=True, max_request_body_size=_MAX_BODY_BYTES
            )
            async with manager.run():
                started.set_result(manager)
                await self._stopping.wait()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)


def make_mcp_app(serving: Serving) -> Starlette:
    """Wire the endpoint; the lifespan of the application closes it."""
    endpoint = McpEndpoint(serving)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's shape
        yield
        await endpoint.close()

    return Starlette(routes=[Route("/", endpoint)], lifespan=lifespan)


def _caller_of(request: Any) -> Caller:  # noqa: ANN401 - the package hands on what the transport made
    caller: Caller = request.state.mcp_caller
    return caller


def _replayed(body: bytes) -> Receive:
    """Return a receive that gives a body that has been read, and then waits: who leaves is seen elsewhere."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.Event().wait()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
