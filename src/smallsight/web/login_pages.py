"""Logging in and out, and the list of browsers that are logged in."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import ArgumentError, TooManyRequestsError
from smallsight.http.page_password import MAX_CHARS, MIN_CHARS
from smallsight.web.languages import translate as t
from smallsight.web.page_access import COOKIE, OPEN
from smallsight.web.parts import WebParts, parts_of

_COOKIE_AGE_S = 400 * 86_400  # the longest that browsers keep one; the server ends sessions sooner
_NAME_CHARS = 16
_PLAIN = re.compile(r"[!-~]{1,2000}")
_EVERY_OTHER, _ALL = "others", "all"


async def login_page(request: Request) -> Response:
    """Return the form; where nobody needs to log in, the gallery."""
    parts = parts_of(request)
    target = _target(request.query_params.get("next"), parts.prefix)
    if not parts.access.is_on() or parts.access.session_of(request) is not None:
        return RedirectResponse(target, 303)
    return _form(request, target)


async def log_in(request: Request) -> Response:
    """Begin a session for whoever knows the password."""
    parts, form = parts_of(request), await request.form()
    given, target = form.get("password"), _target(form.get("next"), parts.prefix)
    if not parts.access.is_on():
        return RedirectResponse(target, 303)
    try:
        token = await parts.access.log_in(request, given if isinstance(given, str) else "")
    except TooManyRequestsError as error:
        seconds = error.retry_after_s or 1
        problem = t("Too many attempts. Try again in {seconds} seconds.", seconds=seconds)
        return _form(request, target, problem, 429, {"retry-after": str(seconds)})
    if token is None:
        return _form(request, target, t("This is neither the password nor a key for these pages."), 401)
    return _with_session(request, target, token)


async def set_first_password(request: Request) -> Response:
    """Store the first password of open pages, and log this browser in; only the command replaces one."""
    parts, form = parts_of(request), await request.form()
    target = f"{parts.prefix}/settings"
    given = form.get("password")
    text = given if isinstance(given, str) else ""
    if request.state.session != OPEN:
        raise ArgumentError("There is a password already.", hint="`smallsight password` sets a new one.")
    if text != form.get("again"):
        return RedirectResponse(f"{target}?password=differs#keys", 303)
    if not MIN_CHARS <= len(text) <= MAX_CHARS:
        return RedirectResponse(f"{target}?password=length#keys", 303)
    await parts.in_thread(lambda: parts.access.password.set(text))
    token = await parts.access.log_in(request, text)
    if token is None:  # another browser was faster
        return RedirectResponse(f"{parts.prefix}/login", 303)
    return _with_session(request, f"{target}#keys", token)


async def log_out(request: Request) -> Response:
    """End the session of this browser."""
    parts = parts_of(request)
    session = request.state.session
    if session != OPEN:
        await parts.in_thread(lambda: parts.access.sessions.end(session))
    return _without_cookie(parts)


async def sessions_page(request: Request) -> Response:
    """Return the list of sessions as a page; the settings show the same list."""
    parts = parts_of(request)
    values = await parts.in_thread(lambda: session_values(request))
    return parts.pages.page(request, "sessions_page.html", values)


async def end_sessions(request: Request) -> Response:
    """End one session, all others, or all."""
    parts, form = parts_of(request), await request.form()
    which, own = str(form.get("session", "")), request.state.session
    sessions = parts.access.sessions
    if which == _ALL:
        await parts.in_thread(sessions.end_all)
        return _without_cookie(parts)
    if which == _EVERY_OTHER:
        await parts.in_thread(lambda: sessions.end_all(but=own))
    else:
        await parts.in_thread(lambda: _end_one(parts, which))
    return RedirectResponse(_back(form.get("back"), parts.prefix), 303)


def session_values(request: Request) -> dict[str, Any]:
    """Return what ``sessions.html`` shows; in a thread, as it may read a file."""
    access = parts_of(request).access
    return {
        "has_password": access.is_on(),
        "sessions": [
            {
                "name": one.digest[:_NAME_CHARS],
                "browser": one.browser or t("A browser"),
                "person": name,
                "address": one.address,
                "opened_s": one.opened_s,
                "seen_s": one.seen_s,
                "is_own": one.digest == request.state.session,
            }
            for one, name in access.all_sessions()
        ],
    }


def _end_one(parts: WebParts, name: str) -> None:
    found = [one for one, _ in parts.access.all_sessions() if one.digest[:_NAME_CHARS] == name]
    if not found:
        raise ArgumentError("This session has ended already.", hint="load the page again.")
    parts.access.sessions.end(found[0].digest)


def _with_session(request: Request, target: str, token: str) -> Response:
    """Send a browser on, logged in."""
    response = RedirectResponse(target, 303)
    response.set_cookie(
        COOKIE,
        token,
        max_age=_COOKIE_AGE_S,
        path=parts_of(request).prefix,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


def _form(
    request: Request, target: str, problem: str = "", status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    response = parts_of(request).pages.page(
        request, "login.html", {"next": target, "problem": problem}, status
    )
    response.headers.update(headers or {})
    return response


def _without_cookie(parts: WebParts) -> Response:
    response = RedirectResponse(f"{parts.prefix}/login", 303)
    response.delete_cookie(COOKIE, path=parts.prefix)
    response.headers["clear-site-data"] = '"cache"'  # pictures that the browser would keep for a year
    return response


def _target(given: object, prefix: str) -> str:
    """Return where to go after logging in: an address of this app, as ``next`` says, else the gallery."""
    home = f"{prefix}/"
    if not isinstance(given, str) or not given.startswith(home) or not _PLAIN.fullmatch(given):
        return home
    path = given.partition("?")[0]
    is_odd = (
        "\\" in given or ".." in path or "//" in path or "%2f" in path.lower() or path == f"{prefix}/login"
    )
    return home if is_odd else given


def _back(given: object, prefix: str) -> str:
    allowed = (f"{prefix}/sessions", f"{prefix}/settings")
    return given if isinstance(given, str) and given in allowed else allowed[0]
