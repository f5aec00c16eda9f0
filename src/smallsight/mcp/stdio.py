"""The protocol over standard input and output, for programs that start Smallsight themselves.

Standard output carries the protocol and nothing else: logs go to standard error.
"""

from __future__ import annotations

import asyncio

from smallsight.http.error_shape import printable
from smallsight.mcp.late_models import LateModels
from smallsight.mcp.package import require_package
from smallsight.mcp.parts import Caller, McpParts
from smallsight.services.live_settings import LiveSettings


def serve_stdio(live: LiveSettings, *, may_edit: bool) -> None:
    """Serve one client until it closes standard input; raises MissingExtraError."""
    require_package()
    asyncio.run(_serve(live, Caller("stdio", may_edit)))


async def _serve(live: LiveSettings, caller: Caller) -> None:
    from mcp.server.stdio import stdio_server  # noqa: PLC0415 - an optional package

    from smallsight.mcp.protocol_server import ProtocolServer  # noqa: PLC0415 - imports it too

    parts = McpParts.of(live.current(), LateModels(live), lambda error: printable(str(error)))
    server = ProtocolServer(parts, lambda _: caller).server
    try:
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    finally:
        await parts.close()
