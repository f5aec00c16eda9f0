"""The password of the pages: stored as scrypt with its parameters, and read again after a change.

Guessing it is slow by design: ``matches`` takes about half a second and 32 MiB. Who calls it limits attempts.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.catalog.reread_state import RereadState
from smallsight.catalog.state_file import locked_state, write_state
from smallsight.errors import ArgumentError, SettingsError

MIN_CHARS, MAX_CHARS = 8, 1000
_N, _R, _P = 2**15, 8, 3
_SALT_BYTES, _DIGEST_BYTES = 16, 32
_MAX_N, _MAX_R, _MAX_P = 2**18, 32, 16  # of a file; more would only stop the server


def password_path(home: Path) -> Path:
    """Return the file of the password in a data folder."""
    return home / "page-password.json"


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """A password as it is stored. ``generation`` differs between two passwords, also between equal ones."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @property
    def generation(self) -> str:
        """Names this password in sessions, which end with it."""
        return hashlib.sha256(self.salt + self.digest).hexdigest()[:16]


class PagePassword:
    """The password in one file. A removed one leaves a file that says so: a missing file opens nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = RereadState(path, self._parse)
        self._has_been_on = False

    @property
    def is_on(self) -> bool:
        """Whether the pages need it, also when its file is gone; raises SettingsError for a damaged file."""
        if self.current() is not None:
            return True
        return self._has_been_on and not self._path.exists()

    def current(self) -> StoredPassword | None:
        """Return the stored password, None without one; raises SettingsError for a damaged file."""
        try:
            stored = self._state.current()
        except SettingsError:
            self._has_been_on = True
            raise
        current = None if stored is None else stored[0]
        self._has_been_on = self._has_been_on or current is not None
        return current

    def matches(self, text: str) -> bool:
        """Return whether a text is the password; takes its time, in a thread."""
        stored = self.current()
        if stored is None or len(text) > MAX_CHARS:
            return False
        return hmac.compare_digest(stored.digest, _derive(text, stored.salt, stored.n, stored.r, stored.p))

    def set(self, text: str) -> None:
        """Store a password in place of the one before; raises ArgumentError for one that is too short."""
        if not MIN_CHARS <= len(text) <= MAX_CHARS:
            raise ArgumentError(
                f"A password has {MIN_CHARS} to {MAX_CHARS:,} characters (this one: {len(text):,}).",
                hint="a few words that do not belong together are easy to remember and hard to guess.",
            )
        salt = secrets.token_bytes(_SALT_BYTES)
        row = {"n": _N, "r": _R, "p": _P, "salt": salt.hex(), "digest": _derive(text, salt, _N, _R, _P).hex()}
        self._write({"scrypt": row, "set_s": int(time.time())})
        self._has_been_on = True

    def remove(self) -> bool:
        """Let the pages be used without one; returns whether there was one."""
        if not self._path.exists():
            return False
        had_one = self.current() is not None
        self._write({"scrypt": None, "removed_s": int(time.time())})
        return had_one

    def _write(self, state: dict[str, Any]) -> None:
        with locked_state(self._path):
            write_state(self._path, state)

    def _parse(self, state: dict[str, Any]) -> tuple[StoredPassword | None]:
        try:
            row = state["scrypt"]
            if row is None:
                return (None,)
            n, r, p = int(row["n"]), int(row["r"]), int(row["p"])
            stored = StoredPassword(n, r, p, bytes.fromhex(row["salt"]), bytes.fromhex(row["digest"]))
            is_sound = 1 < n <= _MAX_N and n & (n - 1) == 0 and 0 < r <= _MAX_R and 0 < p <= _MAX_P
            if not is_sound or len(stored.digest) != _DIGEST_BYTES or len(stored.salt) < _SALT_BYTES:
                raise ValueError("out of range")
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"{self._path} is not a valid password file.",
                hint="set a new one with `smallsight password`.",
            ) from error
        return (stored,)


def _derive(text: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    # Keyboards differ in how they compose letters with accents.
    normalised = unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        normalised, salt=salt, n=n, r=r, p=p, maxmem=256 * n * r + 2**20, dklen=_DIGEST_BYTES
    )
