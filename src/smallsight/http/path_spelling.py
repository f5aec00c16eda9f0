"""An ASGI layer that routes a path with a slash too many, or without a prefix such as ``/v1``, as meant.

Not by a redirect, which would lose the body of a request.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

_MAX_PATH_CHARS = 1000


class PathSpelling:
    """Rewrites paths before routing: ``paths`` are the known ones, ``parents`` those with names below."""

    def __init__(
        self, app: ASGIApp, *, paths: Collection[str], parents: Collection[str] = (), prefix: str = ""
    ) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._parents = tuple(f"{parent}/" for parent in parents)
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request with the path of the route that it means."""
        if scope["type"] == "http" and scope["path"] not in self._paths:
            meant = self.meant_by(scope["path"])
            if meant != scope["path"]:
                scope["path"], scope["raw_path"] = meant, meant.encode("utf-8", "surrogatepass")
        await self._app(scope, receive, send)

    def meant_by(self, path: str) -> str:
        """Return the known path that another one means; any other path is returned unchanged."""
        if len(path) > _MAX_PATH_CHARS:
            return path
        tidy = re.sub("/{2,}", "/", path).rstrip("/") or "/"
        bare = tidy
        while self._prefix and bare.startswith(f"{self._prefix}/"):
            bare = bare.removeprefix(self._prefix)
        for candidate in (tidy, self._prefix + bare):
            if candidate in self._paths and candidate != "/":
                return candidate
        is_below = not path.startswith(self._parents) and candidate.startswith(self._parents)
        return candidate if is_below else path
