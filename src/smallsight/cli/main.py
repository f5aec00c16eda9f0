"""The ``smallsight`` command: runs a command line, and turns errors into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from smallsight.cli.output import begin_invocation, get_output
from smallsight.errors import SmallsightError
from smallsight.policy.shown_text import on_one_line, shortened

_MAX_NAME_CHARS = 300  # of a path or name in an error
INTERRUPTED, READER_GONE = 130, 141  # as shells report a program that SIGINT or SIGPIPE ended
_SHOWS_TRACEBACK = frozenset({"debug", "info"})


def run() -> NoReturn:
    """Run the command line and exit the process with the documented code."""
    exit_code = 1
    try:
        exit_code = invoke(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # invoke raises it where the error of a command has no reader
        exit_code = _reader_gone()
    except OSError as error:
        exit_code = _unwritable(error)
    sys.exit(exit_code)


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised."""
    begin_invocation()
    try:
        return _run(arguments)
    except SmallsightError as error:
        get_output(json="--json" in arguments)  # which an unknown command has not been asked for
        _print_error(error)
        return error.exit_code
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer's own answer to it is 1
            return _reader_gone()
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        return _reader_gone()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("SMALLSIGHT_LOG_LEVEL", "").lower() in _SHOWS_TRACEBACK:
            raise
        told = _told(error)
        _print_error(told)
        return told.exit_code


def _run(arguments: list[str]) -> int:
    """Run a search without typer where that is possible, and everything else with it."""
    if arguments and arguments[0] == "search" and "_SMALLSIGHT_COMPLETE" not in os.environ:
        from smallsight.cli.search_arguments import plain_search
        from smallsight.cli.searching import search_and_print

        if (options := plain_search(arguments)) is not None:
            search_and_print(options)
            return 0
    from smallsight.cli.commands import run_command

    return run_command(arguments)


def _reader_gone() -> int:
    """Stop printing because nobody reads any more, as after ``| head``; return the code of such programs."""
    _discard_output()
    return READER_GONE


def _unwritable(error: OSError) -> int:
    """Say on stderr that standard output cannot be written to, as on a full disk; return the exit code."""
    _discard_output()
    told = _told(error)
    _print_in_words(told)
    return told.exit_code


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: Exception) -> SmallsightError:
    """Return an error as one of ours: what the system refused, or else something unforeseen."""
    import traceback

    from smallsight.cli.system_errors import system_error

    if (known := system_error(error)) is not None:
        return known
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return SmallsightError(
        f"Something unforeseen: {type(error).__name__}: {error} ({where}).",
        hint="please report it; with SMALLSIGHT_LOG_LEVEL=info the whole traceback is printed.",
    )


def _print_error(error: SmallsightError) -> None:
    output = get_output()
    if not output.json:
        _print_in_words(error)
        return
    message, hint = _shortened(error)
    try:
        output.emit({"error": {"code": error.code, "message": message, "hint": hint}})
    except BrokenPipeError:
        _discard_output()
    except OSError:  # what went wrong is likely that it cannot be written to
        _discard_output()
        _print_in_words(error)


def _print_in_words(error: SmallsightError) -> None:
    err = get_output().err
    message, hint = _shortened(error)
    err.print("[bold red]error:[/] ", end="")
    err.print(on_one_line(message), markup=False)
    if hint is not None:
        err.print("[bold cyan]hint:[/] ", end="")
        err.print(on_one_line(hint), markup=False)


def _shortened(error: SmallsightError) -> tuple[str, str | None]:
    hint = None if error.hint is None else shortened(error.hint, _MAX_NAME_CHARS)
    return shortened(error.message, _MAX_NAME_CHARS), hint
