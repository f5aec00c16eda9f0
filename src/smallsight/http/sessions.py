"""Who is logged in to the pages. A browser has a random token, the file its SHA-256: restarts end nothing.

A session belongs to one password or key and ends with it, and when it has not been used for 30 days.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from smallsight.catalog.reread_state import RereadState
from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SettingsError

IDLE_S = 30 * 86_400
_NOTED_EVERY_S = 3600  # the file is not written at every request
_MAX_SESSIONS = 100
_MAX_TOKEN_CHARS = 200
_SESSIONS = "sessions"


def sessions_path(home: Path) -> Path:
    """Return the file of the sessions in a data folder."""
    return home / "page-sessions.json"


@dataclass(frozen=True, slots=True)
class PageSession:
    """A browser that is logged in. ``digest`` is the SHA-256 of its token, ``browser`` a name for people.

    ``generation`` names the password or key that it belongs to.
    """

    digest: str
    generation: str
    opened_s: float
    seen_s: float
    address: str
    browser: str


class Sessions:
    """The sessions in one file; may be used from any thread and by several processes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._state = RereadState(path, self._parse)

    def all(self, generations: Collection[str]) -> list[PageSession]:
        """Return the sessions of passwords and keys, last used first; raises SettingsError if damaged."""
        known = [one for one in self._state.current() or () if self._is_valid(one, generations)]
        return sorted(known, key=lambda one: -one.seen_s)

    def find(self, token: str, generations: Collection[str]) -> PageSession | None:
        """Return the session of a token, if it is one of these passwords and keys."""
        if not 0 < len(token) <= _MAX_TOKEN_CHARS:
            return None
        digest = _digest(token)
        return next(
            (one for one in self.all(generations) if secrets.compare_digest(one.digest, digest)), None
        )

    def is_noted_late(self, session: PageSession) -> bool:
        """Whether ``note_use`` would write; it blocks."""
        return abs(self._clock() - session.seen_s) > _NOTED_EVERY_S

    def note_use(self, session: PageSession) -> None:
        """Store that a session is in use, at most once an hour."""
        if self.is_noted_late(session):
            now_s = self._clock()
            self._change(
                lambda known: [
                    replace(one, seen_s=now_s) if one.digest == session.digest else one for one in known
                ]
            )

    def open(self, generation: str, address: str, browser: str, others: Collection[str] = ()) -> str:
        """Begin a session and return its token; it is not stored and cannot be shown again.

        Sessions that belong to neither ``generation`` nor ``others`` have ended.
        """
        token, now_s = secrets.token_urlsafe(32), self._clock()
        new = PageSession(_digest(token), generation, now_s, now_s, address, browser)

        def with_new(known: Sequence[PageSession]) -> list[PageSession]:
            kept = [one for one in known if self._is_valid(one, {generation, *others})]
            return [new, *sorted(kept, key=lambda one: -one.seen_s)[: _MAX_SESSIONS - 1]]

        self._change(with_new)
        return token

    def end(self, digest: str) -> None:
        """End one session; nothing happens if it has ended."""
        self._change(lambda known: [one for one in known if one.digest != digest])

    def end_all(self, *, but: str = "") -> None:
        """End all sessions, except the one with the digest ``but``."""
        self._change(lambda known: [one for one in known if one.digest == but])

    def _is_valid(self, session: PageSession, generations: Collection[str]) -> bool:
        return session.generation in generations and self._clock() - session.seen_s < IDLE_S

    def _change(self, change: Callable[[Sequence[PageSession]], list[PageSession]]) -> None:
        with locked_state(self._path):
            try:
                known = self._parse(read_state(self._path)) if self._path.exists() else ()
            except SettingsError:  # nobody could log in again otherwise
                known = ()
            rows = [asdict(one) for one in change(known)]
            write_state(self._path, {_SESSIONS: rows})

    def _parse(self, state: dict[str, Any]) -> tuple[PageSession, ...]:
        try:
            return tuple(
                PageSession(
                    str(row["digest"]),
                    str(row["generation"]),
                    float(row["opened_s"]),
                    float(row["seen_s"]),
                    str(row["address"]),
                    str(row["browser"]),
                )
                for row in state[_SESSIONS]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"{self._path} is not a valid list of sessions.", hint="remove it, and log in again."
            ) from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
