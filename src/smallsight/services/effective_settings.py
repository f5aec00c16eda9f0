"""Every setting in force, and the source of its value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from smallsight.settings import Settings, config_path, load_settings

_TABLES = ("remotes", "models")  # their names are people's

DEFAULT, ENVIRONMENT, FLAG = "default", "environment", "flag"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting; ``origin`` is "default", "environment", "flag", or the path of the file."""

    name: str
    value: Any
    origin: str


def effective_settings(flags: Mapping[str, Any] | None = None) -> tuple[EffectiveSetting, ...]:
    """Return all settings in the order of their table; ``flags`` come first. Raises SettingsError."""
    given = dict(flags or {})
    settings = load_settings(**given)
    file = config_path()
    environment = EnvSettingsSource(Settings)()
    in_file = TomlConfigSettingsSource(Settings, toml_file=file)()
    return tuple(
        EffectiveSetting(".".join(names), value, _origin(names, given, environment, in_file, file))
        for names, value in _leaves(settings)
    )


def overridden_settings(flags: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the names of the settings that flags or the environment set, with "flag" or "environment"."""
    environment = dict.fromkeys(_names_in(EnvSettingsSource(Settings)()), ENVIRONMENT)
    return environment | dict.fromkeys(_names_in(flags), FLAG)


def _names_in(given: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in given.items():
        if isinstance(value, Mapping) and f"{above}{name}" not in _TABLES:
            yield from _names_in(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def _leaves(model: BaseModel, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), _plain(value)


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {name: own.model_dump(mode="json", exclude_unset=True) for name, own in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _origin(
    names: tuple[str, ...],
    flags: Mapping[str, Any],
    environment: Mapping[str, Any],
    in_file: Mapping[str, Any],
    file: Path,
) -> str:
    if _holds(flags, names):
        return FLAG
    if _holds(environment, names):
        return ENVIRONMENT
    return str(file) if _holds(in_file, names) else DEFAULT


def _holds(given: object, names: tuple[str, ...]) -> bool:
    for name in names:
        if not isinstance(given, Mapping) or name not in given:
            return False
        given = given[name]
    return True
