"""The server's keys: created once, shown once, stored as hashes with their scopes.

A key is 32 random bytes, so its plain SHA-256 cannot be reversed by trying keys. Its scopes never change.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import ArgumentError, SettingsError, UnknownKeyError

_KEYS = "keys"
_PREFIX = "ss"
_NAME = re.compile(r"[\w.@ -]{1,60}")


class Scope(StrEnum):
    """What a key may do.

    ``use`` asks models and reads the library, ``monitor`` reads health and metrics, ``edit`` changes words
    and tags. ``pages`` lets a person log in to the pages, with what the other scopes allow there.
    """

    USE = "use"
    MONITOR = "monitor"
    EDIT = "edit"
    PAGES = "pages"


DEFAULT_SCOPES = frozenset({Scope.USE, Scope.MONITOR})  # the others have to be asked for


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; ``digest`` is its SHA-256 in hexadecimal."""

    name: str
    digest: str
    scopes: frozenset[Scope]
    created_s: int


class ApiKeys:
    """The keys in one file, which is read again after a change, so that a removed key fails at once.

    ``has_seen_keys`` is true once there was a key, or a file that could not be read, and stays true: what
    such a server protects must not be open because the file is gone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.has_seen_keys = False
        self._seen: tuple[int, ...] | None = None
        self._keys: tuple[ApiKey, ...] = ()

    def all(self) -> tuple[ApiKey, ...]:
        """Return the keys in alphabetical order; raises SettingsError for a damaged file."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._keys = None, ()
            return ()
        seen = status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
        if seen != self._seen:
            self._keys, self._seen = self._read(), seen
            self.has_seen_keys = self.has_seen_keys or bool(self._keys)
        return self._keys

    def find(self, key: str) -> ApiKey | None:
        """Return the stored key that matches, or None; takes the same time for every key."""
        digest = _digest(key)
        found = [known for known in self.all() if hmac.compare_digest(known.digest, digest)]
        return found[0] if found else None

    def add(self, name: str, scopes: frozenset[Scope]) -> str:
        """Create a key and return it; it cannot be shown again.

        Raises ArgumentError for a name that is invalid or in use.
        """
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise ArgumentError(
                f"Invalid key name {name!r}.", hint="use up to 60 letters, digits, spaces, dots, - and @."
            )
        key = f"{_PREFIX}-{secrets.token_urlsafe(32)}"
        with locked_state(self._path):
            stored = self._read()
            if any(known.name.casefold() == name.casefold() for known in stored):
                raise ArgumentError(
                    f"A key called {name!r} exists already.",
                    hint=f"remove it first: `smallsight keys remove {name}`.",
                )
            self._write([*stored, ApiKey(name, _digest(key), scopes, int(time.time()))])
        return key

    def remove(self, name: str) -> None:
        """Delete a key; raises UnknownKeyError."""
        with locked_state(self._path):
            stored = self._read()
            kept = [known for known in stored if known.name.casefold() != name.strip().casefold()]
            if len(kept) == len(stored):
                raise UnknownKeyError(
                    f"There is no key called {name!r}.", hint="`smallsight keys` lists them."
                )
            self._write(kept)

    def _read(self) -> tuple[ApiKey, ...]:
        """Read the file; without one there are no keys, but one without ``keys`` is damaged."""
        try:
            state = read_state(self._path)
            if not state and not self._path.exists():
                return ()
            keys = [
                ApiKey(
                    name,
                    str(row["sha256"]),
                    frozenset(map(Scope, row["scopes"])),
                    int(row["created_s"]),
                )
                for name, row in state[_KEYS].items()
            ]
        except SettingsError:
            self.has_seen_keys = True
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self.has_seen_keys = True
            raise SettingsError(
                f"{self._path} is not a valid list of keys.",
                hint="remove it, then create the keys again with `smallsight keys add NAME`.",
            ) from error
        return tuple(sorted(keys, key=lambda key: key.name.casefold()))

    def _write(self, keys: Sequence[ApiKey]) -> None:
        rows = {
            key.name: {"sha256": key.digest, "scopes": sorted(key.scopes), "created_s": key.created_s}
            for key in keys
        }
        write_state(self._path, {_KEYS: rows})


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
