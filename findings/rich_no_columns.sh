#!/usr/bin/env bash
# rich: where COLUMNS is 0, print prints nothing, in a terminal or not; a terminal of 0 columns counts as one of 80.
#
# Version: rich 15.0.0, Python 3.11.
# Behaviour: a terminal whose size is not known has 0 columns, and shells and programs that export its size write
#   COLUMNS=0. rich replaces 0 by 80 where it asks the terminal, as a comment in it says, but takes the variable as it is:
#   each line becomes an empty string, tables too, and nothing is left but line ends, without an error. Standard
#   output need not be a terminal. argparse and shutil.get_terminal_size of the standard library take
#   COLUMNS=0 as not set.
# Workaround: Console(width=None if os.environ.get("COLUMNS") != "0" else 80), before anything is printed.
# Output seen:
#   COLUMNS not set: 'All 3 pictures were deleted.', 80 columns; shutil says 80
#   COLUMNS=0: '', 0 columns; shutil says 80
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rich==15.0.0
cat > "$folder/columns.py" <<'PYTHON'
import io
import os
import shutil

from rich.console import Console

for columns in (None, "0"):
    os.environ.pop("COLUMNS", None)
    if columns is not None:
        os.environ["COLUMNS"] = columns
    file = io.StringIO()
    console = Console(file=file)
    console.print("All 3 pictures were deleted.")
    name = "COLUMNS not set" if columns is None else f"COLUMNS={columns}"
    said = shutil.get_terminal_size().columns
    print(f"{name}: {file.getvalue().strip()!r}, {console.width} columns; shutil says {said}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/columns.py" < /dev/null 2> /dev/null)
echo "$seen"
[ "$seen" = "COLUMNS not set: 'All 3 pictures were deleted.', 80 columns; shutil says 80
COLUMNS=0: '', 0 columns; shutil says 80" ] || { echo "this has changed"; exit 1; }
