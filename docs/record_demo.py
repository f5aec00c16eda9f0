"""Records ``smallsight demo`` in a terminal as a picture, ``docs/images/demo.svg``.

Run it as ``python docs/record_demo.py [--pictures FOLDER] [--out FILE]``. It runs the real command in a
pseudo-terminal with a fresh data folder, waits until it is done, and draws what is on the screen then. All it
changes: paths of this machine become neutral ones, long hashes are cut, long lines end in an ellipsis, and of
a long table the first rows are kept, followed by a line that says how many were left out. Works where there
are pseudo-terminals: Linux and macOS.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

DOCS = Path(__file__).resolve().parent
CHECKOUT = DOCS.parent
COLUMNS, ROWS = 123, 60  # hardly wider than what is shown, so that tables fit and paths are not wrapped
SHOWN_COLUMNS = 120
TABLE_HEADER = re.compile(r"^\s*picture\s+size\s+text in it")
TABLE_ROWS = 14
LONG_HASH = re.compile(r"([0-9a-f]{8})[0-9a-f]{24,}")
_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\r|\n")


class Screen:
    """As much of a terminal as progress bars need: lines that can be gone back to and cleared.

    Colours stay in the lines as they came.
    """

    def __init__(self) -> None:
        self._lines = [""]
        self._row = 0

    def feed(self, output: str) -> None:
        """Take in what a program wrote."""
        position = 0
        for match in _CONTROL.finditer(output):
            self._lines[self._row] += output[position : match.start()]
            position = match.end()
            self._obey(match)
        self._lines[self._row] += output[position:]

    def lines(self) -> list[str]:
        """Return what is on the screen, with colours."""
        return self._lines

    def _obey(self, match: re.Match[str]) -> None:
        argument, command = match[1] or "", match[2]
        if match[0] == "\n":
            self._row += 1
            if self._row == len(self._lines):
                self._lines.append("")
        elif command == "m":
            self._lines[self._row] += match[0]
        elif command == "A":
            self._row = max(0, self._row - int(argument or 1))
        elif command == "K":
            self._lines[self._row] = ""


def run_in_terminal(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """Run a command in a pseudo-terminal and return everything it wrote."""
    parent_end, child_end = pty.openpty()
    fcntl.ioctl(child_end, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    written = bytearray()
    with subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.DEVNULL, stdout=child_end, stderr=child_end, env=environment, cwd=folder
    ) as process:
        os.close(child_end)
        while chunk := _read(parent_end):
            written += chunk
    os.close(parent_end)
    if process.returncode != 0:
        sys.stderr.write(written.decode("utf-8", "replace"))
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}.")
    return written.decode("utf-8").replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:  # how Linux says that the other end was closed
        return b""


def neutral(text: str, data_folder: Path, pictures: Path | None) -> str:
    """Replace paths of this machine and cut long hashes."""
    places = {str(data_folder): "~/.local/share/smallsight", str(CHECKOUT): "~/smallsight"}
    if pictures is not None:
        places[str(pictures.resolve())] = "~/Pictures"
    places[str(Path.home())] = "~"
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place, places[place])
    return LONG_HASH.sub(r"\1…", text)


def arrange(lines: list[Text]) -> list[Text]:
    """Cut lines to the width, drop empty ones at both ends, and shorten a long table."""
    for line in lines:
        line.rstrip()
        line.truncate(SHOWN_COLUMNS, overflow="ellipsis")
    while lines and not lines[0].plain.strip():
        lines.pop(0)
    while lines and not lines[-1].plain.strip():
        lines.pop()
    header = next((number for number, line in enumerate(lines) if TABLE_HEADER.match(line.plain)), None)
    if header is None:
        return lines
    end = next(
        (number for number in range(header, len(lines)) if not lines[number].plain.strip()), len(lines)
    )
    first_cut = header + 1 + TABLE_ROWS
    if end > first_cut:
        lines[first_cut:end] = [Text(f"⋮ {end - first_cut} more", style="dim")]
    return lines


def draw(lines: list[Text], title: str) -> str:
    """Return the lines as an SVG picture of a terminal."""
    console = Console(record=True, width=SHOWN_COLUMNS, file=StringIO(), force_terminal=True)
    for line in lines:
        console.print(line, soft_wrap=True)
    return console.export_svg(title=title)


def main() -> int:
    """Run, draw, make sure that nothing of this machine is in the picture, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--pictures", type=Path, help="record the demo on these pictures")
    parser.add_argument("--out", type=Path, default=DOCS / "images" / "demo.svg")
    options = parser.parse_args()
    program = shutil.which("smallsight", path=str(Path(sys.executable).parent)) or "smallsight"
    with tempfile.TemporaryDirectory(prefix="smallsight-") as scratch:
        data_folder = Path(scratch).resolve()
        environment = {**os.environ, "SMALLSIGHT_HOME": str(data_folder), "TERM": "xterm-256color"}
        environment |= {"COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
        command = [program, "demo"]
        if options.pictures is not None:
            command += ["--pictures", str(options.pictures.resolve())]
        output = run_in_terminal(command, environment, CHECKOUT)
    output = neutral(output, data_folder, options.pictures)
    screen = Screen()
    screen.feed(output)
    lines = [Text.from_ansi(line) for line in screen.lines()]
    svg = draw(arrange([Text("$ smallsight demo", style="bold"), *lines]), "smallsight demo")
    for place in (str(CHECKOUT), str(data_folder), str(Path.home())):
        if place != "/" and place in svg:
            raise SystemExit(f"The recording names a path of this machine: {place}")
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(svg, encoding="utf-8")
    sys.stdout.write(f"{len(svg):,} characters, {len(lines)} lines: {options.out.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
