"""The ``smallsight`` command: groups the commands and turns errors into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from smallsight.cli import folders, keys, models
from smallsight.cli.demo import demo
from smallsight.cli.describe import describe
from smallsight.cli.doctor import doctor
from smallsight.cli.duplicates import duplicates
from smallsight.cli.edit import edit
from smallsight.cli.export import export
from smallsight.cli.index import index
from smallsight.cli.library import library_app
from smallsight.cli.lost import lost_app
from smallsight.cli.output import JsonFlag, QuietFlag, begin_invocation, get_output
from smallsight.cli.picture import show
from smallsight.cli.search import search, separate_minus_words
from smallsight.cli.serve import serve
from smallsight.cli.settings import settings
from smallsight.cli.tags import tags_app
from smallsight.cli.undo import redo, undo
from smallsight.cli.usage_error import usage_error
from smallsight.cli.watch import watch
from smallsight.errors import SettingsError, SmallsightError
from smallsight.policy.shown_text import on_one_line, shortened
from smallsight.version import __version__

_NAME = "smallsight"
_MAX_NAME_CHARS = 300  # of a path or name in an error
_EPILOG = (
    "Exit codes: 0 done, 2 wrong usage or setting, 3 not found, 4 unusable input, 5 something to install or "
    "download, 6 busy, 7 out of disk or memory, 8 a folder was not there, 130 interrupted, 1 anything else."
)
INTERRUPTED, READER_GONE = 130, 141  # as shells report a program that SIGINT or SIGPIPE ended
_SHOWS_TRACEBACK = frozenset({"debug", "info"})

_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "describe": describe,
    "index": index,
    "watch": watch,
    "search": search,
    "show": show,
    "edit": edit,
    "undo": undo,
    "redo": redo,
    "duplicates": duplicates,
    "export": export,
    "serve": serve,
    "settings": settings,
    "doctor": doctor,
}
_GROUPS = {
    "tags": tags_app,
    "folders": folders.app,
    "lost": lost_app,
    "library": library_app,
    "models": models.app,
    "keys": keys.app,
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
    app([*(command or ()), "--help"], prog_name=_NAME, standalone_mode=False)


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
    for name, command in _COMMANDS.items():
        if name in names:
            made.command(name)(command)
    for name, group in _GROUPS.items():
        if name in names:
            made.add_typer(group, name=name)
    return made


app = _make_app({*_COMMANDS, *_GROUPS})


def run() -> NoReturn:
    """Run the command line and exit the process with the documented code."""
    exit_code = invoke(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        exit_code = _reader_gone()
    sys.exit(exit_code)


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised."""
    begin_invocation()
    try:
        named = next((one for one in arguments if not one.startswith("-")), "")
        is_known = named in _COMMANDS or named in _GROUPS
        command_line = _make_app({named}) if is_known and not _is_completing() else app
        return _exit_code(
            command_line(separate_minus_words(arguments), prog_name=_NAME, standalone_mode=False)
        )
    except SmallsightError as error:
        _print_error(error)
        return error.exit_code
    except TyperException as error:
        return _report_usage(error)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        return _reader_gone()
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("SMALLSIGHT_LOG_LEVEL", "").lower() in _SHOWS_TRACEBACK:
            raise
        _print_error(_unforeseen(error))
        return SmallsightError.exit_code


def _is_completing() -> bool:
    """Return whether a shell asks for what could come next, in a variable that typer names."""
    return "_SMALLSIGHT_COMPLETE" in os.environ


def _exit_code(returned: object) -> int:
    """Return the code of a command that has ended, which typer returns only for a raised Exit."""
    return returned if isinstance(returned, int) else 0


def _report_usage(error: TyperException) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.format_message()}\n")
    else:
        _print_error(usage_error(error))
    return SettingsError.exit_code


def _reader_gone() -> int:
    """Stop printing because nobody reads any more, as after ``| head``; return the code of such programs."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE


def _unforeseen(error: Exception) -> SmallsightError:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return SmallsightError(
        f"Something unforeseen: {type(error).__name__}: {error} ({where}).",
        hint="please report it; with SMALLSIGHT_LOG_LEVEL=info the whole traceback is printed.",
    )


def _print_error(error: SmallsightError) -> None:
    output = get_output()
    message = shortened(error.message, _MAX_NAME_CHARS)
    hint = None if error.hint is None else shortened(error.hint, _MAX_NAME_CHARS)
    if output.json:
        output.emit({"error": {"code": error.code, "message": message, "hint": hint}})
        return
    output.err.print("[bold red]error:[/] ", end="")
    output.err.print(on_one_line(message), markup=False)
    if hint is not None:
        output.err.print("[bold cyan]hint:[/] ", end="")
        output.err.print(on_one_line(hint), markup=False)
