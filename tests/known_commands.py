"""Compares written command lines with the commands and options of this release."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from smallsight.cli.commands import whole_command_line


def unknown_in(arguments: Sequence[str]) -> str | None:
    """Return the first part of a command line that this release does not know, or None."""
    command, rest = typer.main.get_command(whole_command_line()), list(arguments)
    while rest and hasattr(command, "commands"):
        if rest[0] not in command.commands:
            return rest[0]
        command = command.commands[rest.pop(0)]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return next((part for part in rest if part.startswith("-") and part not in options), None)
