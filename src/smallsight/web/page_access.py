"""Who may use the pages: everyone on this machine, or whoever has logged in.

Without a password and without keys, a server on loopback serves everyone who can reach it. With a password
the pages need a session. Where others can reach the server, or keys protect it, and there is no password,
nobody gets in: keys are for programs, and no page asks for one.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import HTTPConnection

from smallsight.errors import ForbiddenError, LoginRequiredError, PagesClosedError, ServerError, SettingsError
from smallsight.http.authorise import Gate
from smallsight.http.guess_limit import GuessLimit
from smallsight.http.page_password import PagePassword, StoredPassword
from smallsight.http.sessions import PageSession, Sessions
from smallsight.web.browser_names import browser_name
from smallsight.web.own_page import is_from_elsewhere

COOKIE = "smallsight-session"
OPEN = ""  # the session of everyone, where the pages are open


class PageAccess:
    """The password, the sessions and the attempts to log in of one server."""

    def __init__(self, password: PagePassword, sessions: Sessions) -> None:
        self.password = password
        self.sessions = sessions
        self.limit = GuessLimit()
        # One thread: each attempt takes half a second of a processor and 32 MiB.
        self._thread = ThreadPoolExecutor(1, "smallsight-password")

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def require(self, connection: HTTPConnection) -> str:
        """Return the session that a request belongs to.

        Raises ForbiddenError for one that a page of another site causes, LoginRequiredError,
        PagesClosedError, and ServerError when password or keys cannot be read.
        """
        if is_from_elsewhere(connection):
            raise ForbiddenError("A page of another site may not do this.", hint="open the page itself.")
        gate: Gate = connection.app.state.gate
        if gate.is_without_secrets:
            return OPEN
        if not self.is_on():
            raise PagesClosedError(
                "These pages have no password yet, and others could reach them.",
                hint="set one with `smallsight password` on the machine where Smallsight runs.",
            )
        session = self.session_of(connection)
        if session is None:
            raise LoginRequiredError("You are not logged in.", hint="log in, and try again.")
        return session.digest

    def is_on(self) -> bool:
        """Whether the pages have a password; raises ServerError when that cannot be read."""
        try:
            return self.password.is_on
        except SettingsError as error:
            raise ServerError(str(error)) from error

    def session_of(self, connection: HTTPConnection) -> PageSession | None:
        """Return the session of a request's cookie, if there is one; raises ServerError."""
        try:
            stored = self.password.current()
            if stored is None:
                return None
            return self.sessions.find(connection.cookies.get(COOKIE, ""), stored.generation)
        except SettingsError as error:
            raise ServerError(str(error)) from error

    async def log_in(self, connection: HTTPConnection, given: str) -> str | None:
        """Return the token of a new session, None if the password is wrong; raises TooManyRequestsError."""
        address = "" if connection.client is None else connection.client.host
        stored = self.password.current()
        self.limit.take(address, is_known=self._is_known(address, stored))
        browser = browser_name(connection.headers.get("user-agent", ""))

        def check() -> str | None:
            if stored is None or not self.password.matches(given):
                return None
            return self.sessions.open(stored.generation, address, browser)

        token = await asyncio.get_running_loop().run_in_executor(self._thread, check)
        if token is not None:
            self.limit.forget(address)
        return token

    def _is_known(self, address: str, stored: StoredPassword | None) -> bool:
        try:
            return stored is not None and any(
                one.address == address for one in self.sessions.all(stored.generation)
            )
        except SettingsError:
            return False
