"""What commands print: data on stdout, messages for people on stderr.

Owns the choice between text and JSON, quiet and verbose, progress bars and plain lines. Knows no command.
"""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from smallsight.cli.progress_report import ProgressBar

# Any of these makes rich write colours where there may be no terminal.
_FORCES_STYLES = ("FORCE_COLOR", "TTY_COMPATIBLE")


class Output:
    """The two output streams of one invocation, and its flags."""

    def __init__(self, *, json: bool, quiet: bool) -> None:
        self.json = json
        self.quiet = quiet

    @cached_property
    def console(self) -> Console:
        """Standard output, for results."""
        from smallsight.cli.escaping_console import EscapingConsole

        return EscapingConsole(soft_wrap=not sys.stdout.isatty(), highlight=False)

    @cached_property
    def err(self) -> Console:
        """Standard error, for everything else."""
        from smallsight.cli.escaping_console import EscapingConsole

        return EscapingConsole(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())

    def print_plainly(self, *lines: str, to_err: bool = False) -> bool:
        """Print lines without rich, which takes longer to import than a search, and return True.

        Prints nothing and returns False where rich would do more than print the text: on a terminal, and
        with characters that have to be escaped.
        """
        stream = sys.stderr if to_err else sys.stdout
        if stream.isatty() or any(os.environ.get(name) for name in _FORCES_STYLES):
            return False
        if not all(line.isprintable() for line in lines):
            return False
        stream.writelines(f"{line}\n" for line in lines)
        return True

    def emit(self, data: dict[str, Any] | list[Any]) -> None:
        """Print data as one JSON document on stdout; text that cannot be encoded is escaped."""
        sys.stdout.write(jsonlib.dumps(data, indent=2, default=str) + "\n")
        sys.stdout.flush()

    def emit_line(self, data: dict[str, Any]) -> None:
        """Print data as one line of JSON on stdout."""
        sys.stdout.write(jsonlib.dumps(data, default=str) + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Print a message on stderr unless ``quiet``; rich markup is rendered."""
        if not self.quiet:
            self.err.print(text)

    def note_dimly(self, text: str) -> None:
        """Print a message that matters less on stderr unless ``quiet``; it holds no markup."""
        if not self.quiet and not self.print_plainly(text, to_err=True):
            self.err.print(text, style="dim", markup=False)

    @contextmanager
    def progress(self, description: str, total: int | None, unit: str) -> Iterator[ProgressBar]:
        """Show a bar with rate and time left on a terminal, an occasional line elsewhere."""
        from smallsight.cli.progress import open_progress

        with open_progress(self.err, description, total, unit, quiet=self.quiet) as report:
            yield report


_in_force: ContextVar[Output | None] = ContextVar("smallsight_output", default=None)


def get_output(*, json: bool = False, quiet: bool = False) -> Output:
    """Return the output of this invocation; flags given before the command's name count too."""
    before = _in_force.get()
    if before is not None:
        json, quiet = json or before.json, quiet or before.quiet
    output = Output(json=json, quiet=quiet)
    _in_force.set(output)
    return output


def begin_invocation() -> None:
    """Reset the flags of an earlier invocation in the same process."""
    _in_force.set(None)
