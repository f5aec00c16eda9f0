"""Fetches the browser files that the web app and its tests use, from npm packages pinned beside this file.

``make vendor`` downloads each package with ``npm pack``, compares it with its pinned sha512, extracts the
listed files and writes their sha256 into vendored_web.json. ``--check`` compares committed files with these,
offline. For a new version, change ``version`` and ``integrity`` (``npm view NAME@VERSION dist.integrity``),
and run it again.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "release" / "vendored_web.json"
MAX_FILE_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Piece:
    """One npm package: which files of it are vendored, and where they lie."""

    name: str
    version: str
    licence: str
    integrity: str  # "sha512-" and base64, as in the registry's metadata
    folder: str  # relative to the checkout
    sha256: dict[str, str]  # by the file's path in the package

    def place(self, root: Path) -> Path:
        """Return the folder of this version."""
        return root / self.folder / f"{self.name}-{self.version}"

    def target(self, root: Path, member: str) -> Path:
        """Return where a file of the package is vendored: they all lie in one folder."""
        return self.place(root) / PurePosixPath(member).name


def read_pieces(path: Path = PINS) -> list[Piece]:
    """Return the pinned packages."""
    return [Piece(**row) for row in json.loads(path.read_text(encoding="utf-8"))["pieces"]]


def write_pieces(pieces: list[Piece], path: Path = PINS) -> None:
    """Write the pins again."""
    rows = [{name: getattr(piece, name) for name in Piece.__slots__} for piece in pieces]
    path.write_text(json.dumps({"pieces": rows}, indent=2) + "\n", encoding="utf-8")


def download(piece: Piece, folder: Path) -> Path:
    """Download a package from npm's configured registry; exits if its hash is not the pinned one."""
    command = ["npm", "pack", f"{piece.name}@{piece.version}", "--silent", "--pack-destination", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (tarball,) = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if piece.integrity != f"sha512-{digest}":
        raise SystemExit(
            f"{piece.name}@{piece.version} is sha512-{digest}, and {piece.integrity} was pinned."
        )
    return tarball


def extract(piece: Piece, tarball: Path, root: Path = ROOT) -> Piece:
    """Replace the vendored files of a package, whatever its version; return it with the files' hashes."""
    for old in (root / piece.folder).glob(f"{piece.name}-[0-9]*"):
        shutil.rmtree(old)
    piece.place(root).mkdir(parents=True)
    hashes: dict[str, str] = {}
    with tarfile.open(tarball) as package:
        for member in piece.sha256:
            file = package.extractfile(f"package/{member}")
            if file is None:
                raise SystemExit(f"{member} of {piece.name}@{piece.version} is not a file.")
            data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise SystemExit(f"{member} of {piece.name}@{piece.version} has over {MAX_FILE_BYTES} bytes.")
            piece.target(root, member).write_bytes(data)
            hashes[member] = hashlib.sha256(data).hexdigest()
    return replace(piece, sha256=hashes)


def differences(pieces: list[Piece], root: Path = ROOT) -> Iterator[str]:
    """Yield how the vendored files differ from the pins."""
    wanted = {
        piece.target(root, member): digest for piece in pieces for member, digest in piece.sha256.items()
    }
    for path, digest in wanted.items():
        name = path.relative_to(root).as_posix()
        if not path.is_file():
            yield f"{name}: missing"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield f"{name}: not the pinned file"
    for folder in sorted({piece.folder for piece in pieces}):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path not in wanted:
                yield f"{path.relative_to(root).as_posix()}: not pinned"


def main() -> int:
    """Fetch or check everything; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--check", action="store_true", help="compare what is committed with the pins, offline"
    )
    pieces = read_pieces()
    if not parser.parse_args().check:
        with tempfile.TemporaryDirectory() as name:
            for index, piece in enumerate(pieces):
                folder = Path(name) / str(index)
                folder.mkdir()
                pieces[index] = extract(piece, download(piece, folder))
        write_pieces(pieces)
    found = list(differences(pieces))
    print("\n".join(found) or f"{sum(len(piece.sha256) for piece in pieces)} files are as pinned")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
