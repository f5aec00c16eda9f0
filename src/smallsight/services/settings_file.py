"""Writes settings into ``smallsight.toml`` for people who change them in a page; comments and order stay."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, ValidationError
from tomlkit.exceptions import TOMLKitError

from smallsight.catalog.state_file import locked_state
from smallsight.errors import SettingsError, StorageError
from smallsight.policy.setting_error import setting_error
from smallsight.policy.setting_names import names_beside
from smallsight.settings import Settings, config_path

SettingChanges = Mapping[tuple[str, ...], Any]
"""The new value of each setting, by the parts of its name; None removes it from the file."""

_PRIVATE = 0o600


class InvalidSettingsError(SettingsError):
    """Values that settings cannot have; ``problems`` maps the name of each to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(next(iter(self.problems.values())))


def change_settings(changes: SettingChanges) -> None:
    """Check values and write them.

    Raises InvalidSettingsError, SettingsError for a malformed file, and StorageError.
    """
    checked = _checked(changes)
    path = config_path()
    path = path.resolve() if path.is_symlink() else path
    with locked_state(path):
        text = _read(path)
        try:
            document = tomlkit.parse(text)
            for names, value in checked.items():
                _put(document, names, value)
            written = tomlkit.dumps(document)
        except (TOMLKitError, ValueError, TypeError) as error:
            raise SettingsError(
                f"The settings could not be changed: {error}.", hint=f"fix or remove {path}."
            ) from error
        if written != text:
            _replace(path, written)


def _checked(changes: SettingChanges) -> dict[tuple[str, ...], Any]:
    """Return the values as their settings hold them: numbers as numbers, even if given as text."""
    given: dict[str, Any] = {}
    for names, value in changes.items():
        if value is not None:
            inner = given
            for name in names[:-1]:
                inner = inner.setdefault(name, {})
            inner[names[-1]] = value
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise InvalidSettingsError(_problems(error, changes)) from error
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The settings could not be read: {error}.", hint=f"fix or remove {config_path()}."
        ) from error
    return {
        names: None if value is None else _stored(settings, names, value) for names, value in changes.items()
    }


def _problems(error: ValidationError, changes: SettingChanges) -> dict[str, str]:
    """Return what is wrong, by the names of the changed settings or of others in the file."""
    problems: dict[str, str] = {}
    for found in error.errors():
        where = tuple(str(part) for part in found["loc"])
        changed = next((names for names in changes if where[: len(names)] == names), where)
        message, hint = setting_error(found, {}, "its value", partial(names_beside, Settings))
        problems.setdefault(".".join(changed), f"{message} {hint.capitalize()}")
    return problems


def _stored(settings: Settings, names: Sequence[str], given: object) -> object:
    value: Any = settings
    for name in names:
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
    if isinstance(value, BaseModel):
        named = (
            given if isinstance(given, Mapping) else {}
        )  # the file's old table is merged into the settings
        dumped = value.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return {name: one for name, one in dumped.items() if name in named}
    if isinstance(value, Path):
        return str(given)
    return [str(one) for one in value] if isinstance(value, tuple) else value


def _put(document: tomlkit.TOMLDocument, names: Sequence[str], value: object) -> None:
    """Set or remove one value; tables that are missing are added at the end."""
    table: Any = document
    for name in names[:-1]:
        if name not in table:
            if value is None:
                return
            table[name] = tomlkit.table(is_super_table=name == "remotes")
        table = table[name]
    if value is None:
        table.pop(names[-1], None)
    elif isinstance(value, Mapping):
        _put_table(table, names[-1], value)
    else:
        table[names[-1]] = value


def _put_table(parent: Any, name: str, values: Mapping[str, object]) -> None:  # noqa: ANN401 - tomlkit's containers
    table = parent.get(name)
    if table is None:
        table = parent[name] = tomlkit.table()
        table = parent[name]
    for gone in [key for key in table if key not in values]:
        del table[gone]
    for key, value in values.items():
        if table.get(key) != value:
            table[key] = value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"The settings could not be read: {error}.", hint=f"fix or remove {path}."
        ) from error


def _replace(path: Path, text: str) -> None:
    """Replace the file atomically; it keeps its permissions."""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else _PRIVATE
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="give this user write permission, or change the file by hand.",
        ) from error
