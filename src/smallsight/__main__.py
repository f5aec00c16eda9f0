"""The entry point of ``smallsight`` and ``python -m smallsight``: Ctrl-C ends it quietly from the start."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False  # see ``__init__``
if TYPE_CHECKING:
    from typing import NoReturn

# Looking for pydantic's plugins takes as long as a search, and numpy's threads, of which a search has no use,
# spin for a third of a second.
_QUICK_START = {"PYDANTIC_DISABLE_PLUGINS": "__all__", "OPENBLAS_NUM_THREADS": "1"}


def main() -> NoReturn:
    """Run the command line and exit the process."""
    try:
        for name, value in _QUICK_START.items():
            os.environ.setdefault(name, value)
        _open_standard_files()
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


def _escape_what_cannot_be_printed() -> None:
    """Print characters that the encoding of the terminal or file lacks as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        is_unicode = (stream.encoding or "").lower().replace("-", "").startswith("utf")
        if not is_unicode and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
