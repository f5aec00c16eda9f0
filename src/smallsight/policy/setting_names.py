"""The names of settings: which there are, and what is said about one that there is not."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from smallsight.policy.setting_error import unknown_setting

__all__ = ["names_beside", "unknown_name"]

_ALMOST = 0.8  # of difflib, for a name to be a typing mistake
_PREFIX, _FILE = "SMALLSIGHT", "config"


def unknown_name(
    settings: type[BaseModel], in_file: Mapping[str, Any], source: str
) -> tuple[str, str] | None:
    """Return message and hint for the first unknown name of a setting; None if all names are known.

    An environment variable counts only if its name is close to that of a setting, because keys of other
    servers may be in variables of any name.
    """
    known = [*settings.model_fields, _FILE]
    for variable in os.environ:
        prefix, _, rest = variable.upper().partition("_")
        name = rest.partition("__")[0].lower()
        if (
            prefix == _PREFIX
            and name not in known
            and (meant := difflib.get_close_matches(name, known, 1, _ALMOST))
        ):
            return f"There is no setting {variable}.", f"did you mean {_PREFIX}_{meant[0].upper()}?"
    for name in in_file:
        if name not in settings.model_fields:
            return unknown_setting(name, list(settings.model_fields), source)
    return None


def names_beside(settings: type[BaseModel], path: Sequence[str]) -> Sequence[str]:
    """Return the names of the settings beside the last one of a path, where an unknown one was found."""
    model: Any = settings
    for name in path[:-1]:
        model = getattr(model.model_fields.get(name), "annotation", None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return ()
    return tuple(model.model_fields)
