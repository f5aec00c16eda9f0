"""What was done, shown once on the page after it: kept in a cookie until then."""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

_COOKIE = "smallsight-notice"
_MAX_CHARS = 300
_KEPT_S = 60


def redirect_with_notice(address: str, message: str, path: str) -> Response:
    """Send a browser to a page below ``path`` and let that show a message once."""
    response = RedirectResponse(address, 303)
    kept = quote(message[:_MAX_CHARS])
    response.set_cookie(_COOKIE, kept, max_age=_KEPT_S, path=path, httponly=True, samesite="strict")
    return response


def notice_of(connection: HTTPConnection) -> str | None:
    """Return the message that waits to be shown, None without one."""
    kept = connection.cookies.get(_COOKIE)
    return None if kept is None else unquote(kept)[:_MAX_CHARS]


def forget_notice(response: Response, path: str) -> None:
    """Forget the message, once it is shown."""
    response.delete_cookie(_COOKIE, path=path)
