"""The entry point of ``smallsight`` and ``python -m smallsight``: Ctrl-C ends it quietly from the start."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False  # see ``__init__``
if TYPE_CHECKING:
    from typing import NoReturn

    from _typeshed import ReadableBuffer

# Looking for pydantic's plugins takes as long as a search, and numpy's threads, of which a search has no use,
# spin for a third of a second.
_QUICK_START = {"PYDANTIC_DISABLE_PLUGINS": "__all__", "OPENBLAS_NUM_THREADS": "1"}


def main() -> NoReturn:
    """Run the command line and exit the process."""
    try:
        for name, value in _QUICK_START.items():
            os.environ.setdefault(name, value)
        _open_standard_files()
        _go_on_without_notes()
        _escape_what_cannot_be_printed()
        from smallsight.cli.main import run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        sys.exit(130)


def _open_standard_files() -> None:
    """Open what the caller has closed (``>&-``), or the first file that is opened takes its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        # The lowest free number is taken, which is this one.
        descriptor = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
        mode = "r" if number == 0 else "w"
        setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))


class _Notes(io.FileIO):
    """Standard error. What cannot be written is lost: a log's disk may be full, a terminal gone."""

    _has_reader = True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or pretend to; that the reader has left is said once, as of any other program."""
        try:
            return super().write(data) or 0
        except OSError as error:
            if isinstance(error, BrokenPipeError) and self._has_reader:
                self._has_reader = False
                raise
            return len(memoryview(data))


def _go_on_without_notes() -> None:
    """Keep a message that cannot be written from ending the work that it is about."""
    notes = io.BufferedWriter(_Notes(2, "w", closefd=False))
    sys.stderr = io.TextIOWrapper(
        notes, encoding=sys.stderr.encoding, errors=sys.stderr.errors, line_buffering=True
    )


def _escape_what_cannot_be_printed() -> None:
    """Print characters that the encoding of the terminal or file lacks as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        is_unicode = (stream.encoding or "").lower().replace("-", "").startswith("utf")
        if not is_unicode and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
