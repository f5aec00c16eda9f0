"""``smallsight password``: sets or removes the password of the server's pages."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output
from smallsight.errors import ArgumentError


def password(
    remove: Annotated[bool, typer.Option("--remove", help="Let the pages be used without one.")] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Set the password of the server's pages.

    It comes from a prompt or from standard input.
    """
    from smallsight.http.page_password import PagePassword, password_path
    from smallsight.http.sessions import Sessions, sessions_path
    from smallsight.settings import load_settings

    output = get_output(json=json, quiet=quiet)
    home = load_settings().home
    stored = PagePassword(password_path(home))
    if remove:
        had_one = stored.remove()
        told = "The pages need no password any more." if had_one else "There was no password."
    else:
        stored.set(_given())
        told = "The pages need this password now, and whoever was logged in has to log in again."
    Sessions(sessions_path(home)).end_all()
    if output.json:
        output.emit({"password": not remove})
    else:
        output.note(f"{told} Running servers take it at once.")


def _given() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("New password", hide_input=True, confirmation_prompt="Once more", err=True))
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise ArgumentError(
            "There is no password on standard input.", hint="run `smallsight password` in a terminal."
        )
    return given
