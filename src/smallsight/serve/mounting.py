"""Mounts that differ from Starlette's in what becomes of the prefix."""

from __future__ import annotations

import re

from starlette._utils import get_route_path
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Scope


class PrefixMount(Mount):
    """``/mcp`` is ``/mcp/`` too: clients of some protocols are given an address without a slash."""

    def __init__(self, prefix: str, app: ASGIApp, *, is_bare: bool = False) -> None:
        super().__init__(prefix, app)
        self._is_bare = is_bare
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)  # "." is no line break else

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as a mount does, and the bare prefix as its root where that is wanted."""
        if not self._is_bare or scope["type"] != "http" or scope["path"] != self.path:
            return super().matches(scope)
        rooted = f"{self.path}/"
        match, child = super().matches({**scope, "path": rooted})
        return match, {**child, "path": rooted}


class WholePaths(Mount):
    """A mount that takes nothing away from a path, so that the application may have the route "/jobs".

    Starlette's own leaves "/jobs" to other routes, and clients that post there lose their body by a redirect.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the prefix, and everything below it."""
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        path = get_route_path(scope)
        is_below = path == self.path or path.startswith(f"{self.path}/")
        return (Match.FULL, {"endpoint": self.app}) if is_below else (Match.NONE, {})
