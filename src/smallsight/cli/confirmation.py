"""Asks a person before a change of many pictures; where nobody can be asked, ``--yes`` has to be given."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from smallsight.cli.output import Output
from smallsight.errors import SettingsError
from smallsight.policy.shown_text import on_one_line

YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def can_ask(out: Output) -> bool:
    """Return whether a person is there to answer."""
    return not out.json and sys.stdin.isatty()


def confirm(out: Output, what: str, *, yes: bool) -> None:
    """Go on if the answer to "what?" is yes, else end the command, with nothing changed.

    Raises SettingsError where nobody can be asked.
    """
    if yes:
        return
    what = on_one_line(what)
    if not can_ask(out):
        raise SettingsError(f"This needs an answer: {what}?", hint="add --yes.")
    if not typer.confirm(f"{what}?", err=True):
        out.note("Nothing was changed.")
        raise typer.Exit(0)
