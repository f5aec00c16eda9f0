"""The child process that reads text: ``python -m smallsight.reading.picture_reader_child THREADS
PARENT_PID AT_ONCE [without-extension]``.
"""

from __future__ import annotations

import sys

from smallsight.reading.picture_reader import PictureReader
from smallsight.reading.reading_loop import serve_reading

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve requests on standard input and output; return the exit code."""
    return serve_reading(arguments, PictureReader)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
