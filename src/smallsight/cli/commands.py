"""The commands of ``smallsight``: a table of where each is, and the parser of command lines made of them.

A command's module is imported when it is named: importing all of them takes longer than most commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.exceptions import TyperException

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output
from smallsight.cli.search_arguments import separate_minus_words
from smallsight.cli.usage_error import usage_error
from smallsight.version import __version__

_NAME = "smallsight"
_EPILOG = (
    "Exit codes: 0 done, 2 wrong usage or setting, 3 not found, 4 unusable input, 5 something to install or "
    "download, 6 busy, 7 out of disk or memory, 8 a folder was not there, 10 to 13 "
    "verdicts of validate, 130 interrupted, 1 anything else."
)
_USAGE = 2

# Each name with the module below smallsight.cli and its function, or its group of commands.
_COMMANDS = {
    "demo": ("demo", "demo"),
    "describe": ("describe", "describe"),
    "caption": ("caption", "caption"),
    "index": ("index", "index"),
    "watch": ("watch", "watch"),
    "search": ("search", "search"),
    "show": ("picture", "show"),
    "edit": ("edit", "edit"),
    "undo": ("undo", "undo"),
    "redo": ("undo", "redo"),
    "duplicates": ("duplicates", "duplicates"),
    "export": ("export", "export"),
    "import": ("import_captions", "import_captions"),
    "validate": ("validate", "validate"),
    "serve": ("serve", "serve"),
    "mcp": ("mcp", "mcp"),
    "generator": ("generator", "generator"),
    "settings": ("settings", "settings"),
    "password": ("password", "password"),
    "doctor": ("doctor", "doctor"),
}
_GROUPS = {
    "tags": ("tags", "tags_app"),
    "folders": ("folders", "app"),
    "lost": ("lost", "lost_app"),
    "library": ("library", "library_app"),
    "models": ("models", "app"),
    "keys": ("keys", "app"),
}


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"smallsight {__version__}\n")
        raise typer.Exit


def top(
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Search, describe and question your pictures, on your own machine."""
    get_output(json=json, quiet=quiet)


def show_help(
    command: Annotated[list[str] | None, typer.Argument(help="A command.", metavar="[COMMAND]")] = None,
) -> None:
    """Show how a command is used."""
    whole_command_line()([*(command or ()), "--help"], prog_name=_NAME, standalone_mode=False)


def _make_app(names: Collection[str]) -> typer.Typer:
    """Return the command line with these commands; looking at the arguments of all takes 50 ms."""
    made = typer.Typer(
        name=_NAME,
        help="Search, describe and question your pictures, on your own machine.",
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich help costs half of the start-up time
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(top)
    made.command("help", hidden=True)(show_help)
    for name, (module, function) in _COMMANDS.items():
        if name in names:
            made.command(name)(getattr(import_module(f"smallsight.cli.{module}"), function))
    for name, (module, group) in _GROUPS.items():
        if name in names:
            made.add_typer(getattr(import_module(f"smallsight.cli.{module}"), group), name=name)
    return made


@cache
def whole_command_line() -> typer.Typer:
    """Return the command line with all commands."""
    return _make_app({*_COMMANDS, *_GROUPS})


def parser_of(command_line: typer.Typer) -> Any:  # noqa: ANN401 - typer keeps its classes to itself
    """Return what parses a command line, and leaves it to commands whether they may read a path.

    Typer refuses what may not be read as wrong usage, also one of several pictures, or a folder to forget.
    """
    parser = typer.main.get_command(command_line)
    commands: list[Any] = [parser]
    while commands:
        command = commands.pop()
        for parameter in command.params:
            parameter.type_descriptor.parameter_info.readable = False
        commands += getattr(command, "commands", {}).values()
    return parser


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; raises SmallsightError, also for wrong usage."""
    named = next((one for one in arguments if not one.startswith("-")), "")
    is_known = named in _COMMANDS or named in _GROUPS
    command_line = _make_app({named}) if is_known and not is_completing() else whole_command_line()
    try:
        returned = parser_of(command_line)(
            separate_minus_words(list(arguments)), prog_name=_NAME, standalone_mode=False
        )
    except TyperException as error:
        if type(error).__name__ != "NoArgsIsHelpError":
            raise usage_error(error) from error
        sys.stderr.write(f"{error.format_message()}\n")
        return _USAGE
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    return returned if isinstance(returned, int) else 0  # a code only for a raised Exit


def is_completing() -> bool:
    """Return whether a shell asks for what could come next, in a variable that typer names."""
    return "_SMALLSIGHT_COMPLETE" in os.environ
