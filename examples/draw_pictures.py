"""Draws the example pictures and writes ``pictures.json``, which says what is in them.

The drawn files are kept with the project; run this only after changing a drawing:
``python examples/draw_pictures.py``, or with ``--only "memes/IMG_2041.jpg"`` for one of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from drawing.album import COPIES, PICTURES
from drawing.fonts import missing_packages
from drawing.picture import Picture, write_picture
from drawing.queries import QUERIES

HERE = Path(__file__).parent


def describe(picture: Picture) -> dict[str, Any]:
    """Return a picture's entry in the manifest."""
    return {
        "file": picture.file,
        "kind": picture.kind.value,
        "text": list(picture.text),
        "shows": picture.shows,
        "colours": list(picture.colours),
        "notes": picture.notes,
        "hard": picture.hard,
    }


def manifest() -> dict[str, Any]:
    """Return what ``pictures.json`` holds: every picture, copies included, and the searches to show."""
    entries = [describe(picture) for picture in PICTURES]
    by_file = {entry["file"]: entry for entry in entries}
    for copy, original in COPIES.items():
        entries.append(by_file[original] | {"file": copy, "notes": f"exact duplicate of {original}"})
    queries = [
        {"query": query.words, "kind": query.sort.value, "expect": list(query.expect)} for query in QUERIES
    ]
    return {"pictures": entries, "demo_queries": queries}


def main() -> int:
    """Draw what the command line asks for; exit code 5 where fonts are missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE, help="folder for pictures/ and pictures.json")
    parser.add_argument(
        "--only", nargs="+", metavar="FILE", help="files to draw, as pictures.json names them"
    )
    options = parser.parse_args()
    if packages := missing_packages():
        print(f"Fonts are missing. hint: apt install {' '.join(packages)}", file=sys.stderr)
        return 5
    if unknown := set(options.only or ()) - {picture.file for picture in PICTURES}:
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    folder: Path = options.out / "pictures"
    for picture in PICTURES:
        if options.only is None or picture.file in options.only:
            path = write_picture(picture, folder)
            print(f"{path.stat().st_size / 1024:7.0f} KiB  {picture.file}")
    if options.only is None:
        for copy, original in COPIES.items():
            (folder / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / original, folder / copy)
    text = json.dumps(manifest(), ensure_ascii=False, indent=2)
    (options.out / "pictures.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
