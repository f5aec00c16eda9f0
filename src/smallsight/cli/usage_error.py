"""Puts wrong usage of the command line into the words of all other errors: one sentence and a hint."""

from __future__ import annotations

import difflib
import re
from typing import Any

from typer.exceptions import TyperException

from smallsight.errors import SettingsError

_CHOICE = re.compile(r"Value error, ('.*') is not one of (.*?)\.?", re.DOTALL)
_REQUIREMENT = re.compile(r"Input should be (.*?)(?:, unable to parse.*)?", re.DOTALL)


def usage_error(error: TyperException) -> SettingsError:
    """Return the error to print for one that the parser of the command line raised."""
    hint = f"`{_command(getattr(error, 'ctx', None))} --help` shows how it is used."
    parameter = getattr(error, "param", None)
    if parameter is not None:
        return _of_parameter(parameter, error, hint)
    possibilities = getattr(error, "possibilities", None)
    if possibilities is not None or type(error).__name__ == "NoSuchOption":
        option = str(getattr(error, "option_name", ""))
        if near := difflib.get_close_matches(option, possibilities or (), 1):
            hint = f"did you mean {near[0]}?"
        return SettingsError(f"There is no option {option}.", hint=hint)
    return SettingsError(_sentence(error.format_message()), hint=hint)


def _command(context: Any) -> str:  # noqa: ANN401 - a private class of typer
    return "smallsight" if context is None else str(context.command_path)


def _of_parameter(parameter: Any, error: TyperException, hint: str) -> SettingsError:  # noqa: ANN401
    is_option = parameter.param_type_name == "option"
    name = max(parameter.opts, key=len) if is_option else parameter.name.rstrip("_").upper()
    if not error.message:
        return SettingsError(f"{name} is missing.", hint=hint)
    if (choice := _CHOICE.fullmatch(error.message)) is not None:
        return SettingsError(
            f"{name} cannot be {choice[1]}.", hint=f"use one of {choice[2].replace(chr(39), '')}."
        )
    if (required := _REQUIREMENT.fullmatch(error.message)) is not None:
        return SettingsError(_sentence(f"{name} has to be {required[1]}"), hint=hint)
    return SettingsError(_sentence(f"{name}: {error.message}"), hint=hint)


def _sentence(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if one_line.endswith((".", "?", "!")) else f"{one_line}."
