"""A state file that is read again only after it has changed, so that looking at it is cheap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from smallsight.catalog.state_file import read_state

_Value = TypeVar("_Value")


class RereadState(Generic[_Value]):
    """What ``parse`` makes of the file's object; None while there is no file."""

    def __init__(self, path: Path, parse: Callable[[dict[str, Any]], _Value]) -> None:
        self._path = path
        self._parse = parse
        self._seen: tuple[int, ...] | None = None
        self._value: _Value | None = None

    def current(self) -> _Value | None:
        """Return the value; raises SettingsError for a damaged file, also the next time."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen, self._value = None, None
            return None
        seen = status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
        if seen != self._seen:
            self._value, self._seen = self._parse(read_state(self._path)), seen
        return self._value
