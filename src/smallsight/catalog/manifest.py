"""Which commit of a repository this machine uses, and the size and digest of each of its files.

A catalogue entry names a tag or a branch. The first pull asks the hub which commit that is and records the
answer here with the hub's own list of files; every later pull, on this machine, takes exactly that commit
until the user asks for an update. So a model never changes by itself, and its files can be checked without
a network.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import DownloadError, SettingsError

_HEX_DIGITS = {"sha256": 64, "git-sha1": 40}


class Hasher(Protocol):
    """The methods of a hashlib object that are used here."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the digest of the bytes so far."""
        ...


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository as the hub describes it.

    Large files are identified by SHA-256, small ones by the SHA-1 of their git object.
    """

    path: str
    size_bytes: int
    algorithm: Literal["sha256", "git-sha1"]
    digest: str

    def __post_init__(self) -> None:
        if self.algorithm not in _HEX_DIGITS or not is_hex(self.digest, _HEX_DIGITS[self.algorithm]):
            raise DownloadError(
                f"The hub returned an invalid digest for {self.path!r}: {self.digest!r}.",
                hint="check HF_ENDPOINT: this may not be a hub.",
            )

    def hasher(self) -> Hasher:
        """Return an object that computes this file's digest from its bytes."""
        if self.algorithm == "sha256":
            return hashlib.sha256()
        # git's object id, not a signature: nothing here relies on SHA-1 against an attacker
        return hashlib.sha1(b"blob %d\0" % self.size_bytes, usedforsecurity=False)


@dataclass(frozen=True)
class PinnedRevision:
    """A commit and its files, as recorded at the first pull."""

    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def size_bytes(self) -> int:
        """The total size of all files."""
        return sum(file.size_bytes for file in self.files)


class Pins:
    """The commits to which this machine's models are pinned, in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, repository: str, revision: str) -> PinnedRevision | None:
        """Return the pinned revision, or None before the first pull; raises SettingsError if invalid."""
        row = read_state(self._path).get(_key(repository, revision))
        if row is None:
            return None
        try:
            pinned = PinnedRevision(row["commit"], tuple(RemoteFile(**file) for file in row["files"]))
        except (KeyError, TypeError, DownloadError) as error:
            raise SettingsError(
                f"{self._path} has an entry for {repository} that cannot be read.",
                hint="remove the file; the next pull recreates it.",
            ) from error
        if not is_commit(pinned.commit):
            raise SettingsError(
                f"{self._path} pins {repository} to {pinned.commit!r}, which is not a commit."
            )
        return pinned

    def record(self, repository: str, revision: str, pinned: PinnedRevision) -> None:
        """Pin a revision to a commit."""
        with locked_state(self._path):
            state: dict[str, Any] = read_state(self._path)
            state[_key(repository, revision)] = {
                "commit": pinned.commit,
                "files": [asdict(file) for file in pinned.files],
            }
            write_state(self._path, state)

    def forget(self, repository: str, revision: str) -> None:
        """Remove a pin, so that the next pull asks the hub for the commit again."""
        with locked_state(self._path):
            state = read_state(self._path)
            if state.pop(_key(repository, revision), None) is not None:
                write_state(self._path, state)


def is_commit(text: str) -> bool:
    """Return whether a revision is a full git commit."""
    return is_hex(text, 40)


def is_hex(text: str, num_digits: int) -> bool:
    """Return whether a text is exactly that many lower-case hexadecimal digits."""
    return re.fullmatch(rf"[0-9a-f]{{{num_digits}}}", text) is not None


def _key(repository: str, revision: str) -> str:
    return f"{repository}@{revision}"
