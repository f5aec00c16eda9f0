"""Errors as pages: what failed and what to do, in the frame of all pages."""

from __future__ import annotations

from starlette.responses import HTMLResponse, Response

from smallsight.errors import LoginRequiredError, PagesClosedError, SmallsightError
from smallsight.http.error_shape import public_message
from smallsight.web.page_headers import CONTENT_SECURITY_POLICY
from smallsight.web.page_renderer import PageRenderer

MESSAGE_HEADER = "x-problem"  # for scripts, which show it where the person is


class PageErrors:
    """The error shape of the pages. See ``http.error_shape.ErrorShape``."""

    def __init__(self, pages: PageRenderer) -> None:
        self._pages = pages

    def of_error(self, error: SmallsightError) -> Response:
        """Return a page about an error that Smallsight raised."""
        message, _, hint = public_message(error).partition(" hint: ")
        return self._page(
            error.http_status,
            message,
            hint,
            is_closed=isinstance(error, PagesClosedError),
            needs_login=isinstance(error, LoginRequiredError),
        )

    def of_status(self, status: int, message: str) -> Response:
        """Return a page about an error of the framework."""
        return self._page(status, message, "")

    def _page(
        self, status: int, message: str, hint: str, *, is_closed: bool = False, needs_login: bool = False
    ) -> Response:
        values = {"status": status, "message": message, "hint": hint}
        html = self._pages.text(
            "problem.html", {**values, "is_closed": is_closed, "needs_login": needs_login}
        )
        told = f"{message} {hint}".strip().encode("ascii", "replace").decode()[:300]
        headers = {MESSAGE_HEADER: told, "content-security-policy": CONTENT_SECURITY_POLICY}
        return HTMLResponse(html, status, headers=headers)
