"""Opens a file in the program that the system has for it, and an address in the browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import webbrowser
from pathlib import Path

from smallsight.errors import MissingExtraError

_OPENERS = {"win32": "explorer", "darwin": "open"}


def open_file(path: Path) -> None:
    """Open a file in the system's viewer and return at once; raises MissingExtraError if there is none."""
    program = _OPENERS.get(sys.platform, "xdg-open")
    found = shutil.which(program)
    if found is None:
        raise MissingExtraError(
            f"There is no program that opens pictures ({program}).",
            hint="install xdg-utils, or use --paths and a viewer of your own.",
        )
    nothing = subprocess.DEVNULL
    subprocess.Popen(  # noqa: S603 - the system's own program, with one path
        [found, str(path)], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )


def open_address(url: str) -> None:
    """Open an address in the browser, if there is one, and return at once."""
    threading.Thread(target=webbrowser.open, args=(url,), name="smallsight-browser", daemon=True).start()
