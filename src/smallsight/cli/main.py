"""The ``smallsight`` command: groups the commands and turns errors into one sentence and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from smallsight.cli import keys, models
from smallsight.cli.demo import demo
from smallsight.cli.describe import describe
from smallsight.cli.doctor import doctor
from smallsight.cli.duplicates import duplicates
from smallsight.cli.index import folders_app, index
from smallsight.cli.library import library_app
from smallsight.cli.lost import lost_app
from smallsight.cli.output import JsonFlag, QuietFlag, begin_invocation, get_output
from smallsight.cli.picture import edit, show
from smallsight.cli.search import search, separate_minus_words
from smallsight.cli.serve import serve
from smallsight.cli.settings import settings
from smallsight.cli.watch import watch
from smallsight.errors import SmallsightError
from smallsight.policy.shown_text import on_one_line, shortened
from smallsight.version import __version__

_MAX_NAME_CHARS = 300  # of a path or name in an error
_EPILOG = (
    "Exit codes: 0 done, 2 wrong usage or setting, 3 not found, 4 unusable input, 5 something to install or "
    "download, 6 busy, 7 out of disk or memory, 8 a folder was not there, 130 interrupted, 1 anything else."
)

app = typer.Typer(
    name="smallsight",
    help="Search, describe and question your pictures, on your own machine.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs half of the start-up time
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, describe, index, watch, search, show, edit, duplicates):
    app.command()(command)
app.add_typer(folders_app, name="folders")
app.add_typer(lost_app, name="lost")
app.add_typer(library_app, name="library")
app.add_typer(models.app, name="models")
app.command()(serve)
app.add_typer(keys.app, name="keys")
app.command()(settings)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"smallsight {__version__}\n")
        raise typer.Exit


@app.callback()
def top(
    json: JsonFlag = False,
    quiet: QuietFlag = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Search, describe and question your pictures, on your own machine."""
    get_output(json=json, quiet=quiet)


def run() -> NoReturn:
    """Run the command line and exit the process with the documented code."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised."""
    begin_invocation()
    try:
        app(separate_minus_words(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except SmallsightError as error:
        _print_error(error)
        return error.exit_code
    return 0


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
