"""What a page needs to know about one setting to offer it in a form: its kind, bounds and description."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from smallsight.settings import Settings

_CHOICES = re.compile(r"\^\(([a-z0-9_|]+)\)\$")


class FieldKind(StrEnum):
    """How a value is entered."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    SWITCH = "switch"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting; a bound is None where there is none, ``default`` None where it is optional."""

    name: str
    kind: FieldKind
    description: str
    default: Any
    is_optional: bool
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    is_above: bool = False  # whether the minimum itself is excluded

    @property
    def names(self) -> tuple[str, ...]:
        """The parts of its name."""
        return tuple(self.name.split("."))


@cache
def setting_field(name: str) -> SettingField:
    """Return the field of a setting; raises KeyError if there is none."""
    model: Any = Settings
    *tables, last = name.split(".")
    for table in tables:
        model = model.model_fields[table].annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise KeyError(name)
    info = model.model_fields[last]
    kinds = [one for one in get_args(info.annotation) or (info.annotation,) if one is not NoneType]
    bounds = dict(_bounds(info))
    choices = _CHOICES.fullmatch(str(bounds.get("pattern", "")))
    return SettingField(
        name=name,
        kind=FieldKind.CHOICE if choices else _kind(kinds[0]),
        description=info.description or "",
        default=info.default,
        is_optional=NoneType in get_args(info.annotation),
        minimum=bounds.get("ge", bounds.get("gt")),
        maximum=bounds.get("le", bounds.get("lt")),
        choices=tuple(choices[1].split("|")) if choices else (),
        is_above="gt" in bounds,
    )


def setting_value(settings: Settings, name: str) -> Any:  # noqa: ANN401 - of any setting
    """Return the value of a setting."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _kind(annotation: object) -> FieldKind:
    kinds = {bool: FieldKind.SWITCH, int: FieldKind.WHOLE, float: FieldKind.NUMBER}
    return kinds.get(annotation, FieldKind.TEXT)  # type: ignore[call-overload, no-any-return]


def _bounds(info: FieldInfo) -> Iterator[tuple[str, Any]]:
    for one in info.metadata:
        for name in ("ge", "gt", "le", "lt", "pattern"):
            if (value := getattr(one, name, None)) is not None:
                yield name, value
