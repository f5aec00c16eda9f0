"""The child process that reads with RapidOCR: ``python -m smallsight.reading.text_reader_child THREADS
PARENT_PID``.
"""

from __future__ import annotations

import sys

from smallsight.reading.ocr_model import OcrModel
from smallsight.reading.reading_loop import serve_reading

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve requests on standard input and output; return the exit code."""
    return serve_reading(arguments, OcrModel)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
