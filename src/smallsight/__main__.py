"""The entry point of ``smallsight`` and ``python -m smallsight``: Ctrl-C ends it quietly from the start."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

# Looking for pydantic's plugins takes as long as a search, and numpy's threads, of which a search has no use,
# spin for a third of a second.
_QUICK_START = {"PYDANTIC_DISABLE_PLUGINS": "__all__", "OPENBLAS_NUM_THREADS": "1"}


def main() -> NoReturn:
    """Run the command line and exit the process."""
    for name, value in _QUICK_START.items():
        os.environ.setdefault(name, value)
    try:
        from smallsight.cli.main import run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
