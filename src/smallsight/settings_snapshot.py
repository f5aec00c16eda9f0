"""Remembers the validated settings of reading a library: validating them takes longer than a search.

The snapshot lies in the data folder with a digest of itself and of everything that the settings come from.
It is used only while the digest matches and nobody else could have written it; otherwise the settings are
read and validated as usual, and the snapshot is written again.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from smallsight.library_settings import SECTIONS, LibrarySettings
from smallsight.settings_places import config_path, default_home, expanded
from smallsight.version import __version__

_MAX_BYTES = 64 * 1024
_CODE = ("settings.py", "settings_places.py", "settings_snapshot.py", "library_settings.py")
_NAMED = frozenset({"HOME", "USERPROFILE", "XDG_DATA_HOME", "LOCALAPPDATA", "APPDATA"})  # for the data folder


class RememberedSettings:
    """The values of a snapshot as attributes; a section is another object of this class."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update({name: _restored(value) for name, value in values.items()})


def load_library_settings() -> LibrarySettings:
    """Return the settings in force, as far as reading a library needs them; raises SettingsError."""
    path = snapshot_path()
    sources = _sources()
    if sources is not None and (remembered := _read(path, sources)) is not None:
        return remembered
    from smallsight.settings import load_settings  # noqa: PLC0415 - imports pydantic

    settings = load_settings()
    # A file that changed meanwhile is not what the values come from.
    if sources is not None and settings.home == path.parents[1] and _sources() == sources:
        _write(path, sources, settings)
    return settings


def snapshot_path() -> Path:
    """Return where the snapshot is, if the data folder is where the environment says."""
    home = os.environ.get("SMALLSIGHT_HOME")
    return (expanded(home) if home else default_home()) / "graphs" / "settings-snapshot.json"


def _sources() -> bytes | None:
    """Return everything that decides the settings, None if that cannot be told."""
    try:
        code = [_state(Path(__file__).with_name(name).stat()) for name in _CODE]
        path = config_path()
        try:
            with path.open("rb") as file:
                state, content = _state(os.fstat(file.fileno())), file.read()
        except FileNotFoundError:
            state, content = [], b""
        # Names of variables are read without case, as pydantic-settings reads them.
        variables = sorted(
            (name, value)
            for name, value in os.environ.items()
            if name.upper() in _NAMED or name.upper().startswith("SMALLSIGHT_")
        )
        facts = [__version__, sys.version, sys.platform, str(path), state, code, variables]
        return json.dumps(facts).encode() + b"\n" + content
    except OSError:
        return None


def _state(of: os.stat_result) -> list[int]:
    return [of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns]


def _digest(sources: bytes, values: bytes) -> bytes:
    return sha256(sha256(sources).digest() + values).hexdigest().encode()


def _read(path: Path, sources: bytes) -> LibrarySettings | None:
    """Return the settings of a snapshot of these sources, None if there is none that can be trusted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not _is_private(os.fstat(descriptor)):
            return None
        try:
            digest, _, values = file.read(_MAX_BYTES).partition(b"\n")
        except OSError:
            return None
    if digest != _digest(sources, values):
        return None
    # The digest says that _write made these values, from settings that have every attribute of the protocol.
    return cast("LibrarySettings", RememberedSettings(json.loads(values)))


def _is_private(state: os.stat_result) -> bool:
    """Return whether only this user can have written a file."""
    if sys.platform == "win32":
        return stat.S_ISREG(state.st_mode)
    is_own = state.st_uid == os.geteuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return is_own and stat.S_ISREG(state.st_mode)


def _write(path: Path, sources: bytes, settings: LibrarySettings) -> None:
    """Write the snapshot, if the data folder is there; without it only the next start takes longer."""
    values = json.dumps(values_of(settings, LibrarySettings)).encode()
    with contextlib.suppress(OSError):
        if not path.parents[1].is_dir():
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".settings-snapshot.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_digest(sources, values) + b"\n" + values)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


def values_of(settings: object, protocol: type) -> dict[str, Any]:
    """Return what settings have of a protocol, in types that JSON has."""
    return {
        name: values_of(getattr(settings, name), SECTIONS[name])
        if name in SECTIONS
        else _stored(getattr(settings, name))
        for name, member in vars(protocol).items()
        if isinstance(member, property)
    }


def _stored(value: object) -> object:
    """Return a value of a setting for JSON: a path is a list of its text."""
    if isinstance(value, Path):
        return [str(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    message = f"A snapshot cannot hold a {type(value).__name__}."
    raise TypeError(message)


def _restored(value: object) -> object:
    if isinstance(value, dict):
        return RememberedSettings(value)
    return Path(value[0]) if isinstance(value, list) else value
