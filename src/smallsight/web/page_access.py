"""Who may use the pages: everyone on this machine, or whoever has logged in.

Without a password and without keys, a server on loopback serves everyone who can reach it. With a password,
or keys for the pages, they need a session. Where others can reach the server, or other keys protect it, and
there is neither, nobody gets in: those keys are for programs, and no page takes one.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import HTTPConnection

from smallsight.errors import ForbiddenError, LoginRequiredError, PagesClosedError, ServerError, SettingsError
from smallsight.http.api_keys import ApiKey, ApiKeys
from smallsight.http.authorise import Gate
from smallsight.http.guess_limit import GuessLimit
from smallsight.http.page_password import PagePassword
from smallsight.http.sessions import PageSession, Sessions
from smallsight.web.browser_names import browser_name
from smallsight.web.own_page import is_from_elsewhere
from smallsight.web.visitor import EVERYTHING, Visitor, key_generation, rights_of

COOKIE = "smallsight-session"
OPEN = ""  # the session of everyone, where the pages are open


class PageAccess:
    """The password, the keys of people, the sessions and the attempts to log in of one server."""

    def __init__(self, password: PagePassword, keys: ApiKeys, sessions: Sessions) -> None:
        self.password = password
        self._keys = keys
        self.sessions = sessions
        self.limit = GuessLimit()
        # One thread: each attempt takes half a second of a processor and 32 MiB.
        self._thread = ThreadPoolExecutor(1, "smallsight-password")

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def require(self, connection: HTTPConnection) -> Visitor:
        """Return who sent a request.

        Raises ForbiddenError for one that a page of another site causes, LoginRequiredError,
        PagesClosedError, and ServerError when password or keys cannot be read.
        """
        if is_from_elsewhere(connection):
            raise ForbiddenError("A page of another site may not do this.", hint="open the page itself.")
        gate: Gate = connection.app.state.gate
        if gate.is_without_secrets:
            return Visitor(OPEN, EVERYTHING)
        if not self.is_on():
            raise PagesClosedError(
                "These pages have no password yet, and others could reach them.",
                hint="set one with `smallsight password` on the machine where Smallsight runs.",
            )
        session = self.session_of(connection)
        if session is None:
            raise LoginRequiredError("You are not logged in.", hint="log in, and try again.")
        key = next((one for one in self._page_keys() if key_generation(one) == session.generation), None)
        if key is None:
            return Visitor(session.digest, EVERYTHING)
        return Visitor(session.digest, rights_of(key), key.name)

    def is_on(self) -> bool:
        """Whether people log in, with a password or keys; raises ServerError when that cannot be read."""
        try:
            return self.password.is_on or bool(self._page_keys())
        except SettingsError as error:
            raise ServerError(str(error)) from error

    def session_of(self, connection: HTTPConnection) -> PageSession | None:
        """Return the session of a request's cookie, if there is one; raises ServerError."""
        try:
            return self.sessions.find(connection.cookies.get(COOKIE, ""), self._names_of())
        except SettingsError as error:
            raise ServerError(str(error)) from error

    def all_sessions(self) -> list[tuple[PageSession, str]]:
        """Return the sessions, each with the name of the person's key, or ""; raises SettingsError."""
        names = self._names_of()
        return [(one, names[one.generation]) for one in self.sessions.all(names)]

    async def log_in(self, connection: HTTPConnection, given: str) -> str | None:
        """Return the token of a new session for the password or the key of a person, None for another text.

        Raises TooManyRequestsError.
        """
        address = "" if connection.client is None else connection.client.host
        self.limit.take(address, is_known=self._is_known(address))
        browser = browser_name(connection.headers.get("user-agent", ""))

        def check() -> str | None:
            key = self._keys.find(given.strip())
            stored = self.password.current()
            if key is not None:
                generation = key_generation(key) if rights_of(key) else None
            else:
                generation = stored.generation if stored and self.password.matches(given) else None
            if generation is None:
                return None
            return self.sessions.open(generation, address, browser, self._names_of())

        token = await asyncio.get_running_loop().run_in_executor(self._thread, check)
        if token is not None:
            self.limit.forget(address)
        return token

    def _is_known(self, address: str) -> bool:
        try:
            return any(one.address == address for one in self.sessions.all(self._names_of()))
        except SettingsError:
            return False

    def _page_keys(self) -> list[ApiKey]:
        return [one for one in self._keys.all() if rights_of(one)]

    def _names_of(self) -> dict[str, str]:
        """Return the passwords and keys whose sessions are valid, by generation, with the names of keys."""
        stored = self.password.current()
        names = {} if stored is None else {stored.generation: ""}
        return names | {key_generation(one): one.name for one in self._page_keys()}
