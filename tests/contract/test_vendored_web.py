"""What browsers load from others is pinned, licensed, in the wheel, and asks no other host for anything."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from release.vendor_web import Piece, differences, extract, read_pieces, write_pieces

from contract.checkout import ROOT, assert_none, place

PIECES = read_pieces()
DELIVERED = [piece for piece in PIECES if piece.folder.startswith("src/")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LOADS = re.compile(r"""(?:https?:|wss?:|["'(])//[\w-]+\.[\w.-]+|@import|sourceMappingURL""")


def files_of(pieces: list[Piece]) -> list[Path]:
    return [piece.target(ROOT, member) for piece in pieces for member in piece.sha256]


def loads(text: str) -> list[str]:
    """Return where code or a style sheet names other hosts or further files, comments aside."""
    return _LOADS.findall(_COMMENT.sub("", text))


@pytest.fixture
def piece(tmp_path: Path) -> Piece:
    """A package of one script and its licence, vendored below ``tmp_path``."""
    tarball = tmp_path / "tiny-1.0.0.tgz"
    with tarfile.open(tarball, "w:gz") as package:
        for name, data in {
            "LICENSE": b"Do what you like.",
            "dist/tiny.js": b"1",
            "dist/other.js": b"2",
        }.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    unpinned = Piece("tiny", "1.0.0", "MIT", "", "vendor", {"LICENSE": "", "dist/tiny.js": ""})
    return extract(unpinned, tarball, tmp_path)


def test_vendored_files_are_those_that_are_pinned():
    assert_none("run `make vendor`", differences(PIECES))


def test_a_package_is_pinned_by_its_sha512():
    wrong = [
        piece.name
        for piece in PIECES
        if not piece.integrity.startswith("sha512-")
        or len(base64.b64decode(piece.integrity.removeprefix("sha512-"))) != hashlib.sha512().digest_size
    ]
    assert_none("a sha512, as the registry writes it", wrong)


def test_only_the_listed_files_are_extracted(piece: Piece, tmp_path: Path):
    assert sorted(path.name for path in piece.place(tmp_path).iterdir()) == ["LICENSE", "tiny.js"]
    assert not list(differences([piece], tmp_path))


def test_a_changed_a_missing_and_a_stray_file_would_be_noticed(piece: Piece, tmp_path: Path):
    folder = piece.place(tmp_path)
    (folder / "tiny.js").write_bytes(b"3")
    (folder / "LICENSE").rename(folder / "stray.js")
    assert list(differences([piece], tmp_path)) == [
        "vendor/tiny-1.0.0/LICENSE: missing",
        "vendor/tiny-1.0.0/tiny.js: not the pinned file",
        "vendor/tiny-1.0.0/stray.js: not pinned",
    ]


def test_pins_survive_being_written(piece: Piece, tmp_path: Path):
    write_pieces([piece], tmp_path / "pins.json")
    assert read_pieces(tmp_path / "pins.json") == [piece]


def test_every_piece_has_its_licence():
    missing = [piece.name for piece in PIECES if "LICENSE" not in piece.sha256]
    assert_none("the licence is vendored too", missing)
    named = set(PROJECT["license"].split(" AND "))
    assert named == {"Apache-2.0"} | {piece.licence for piece in DELIVERED}


def test_no_delivered_file_asks_another_host():
    """axe-core is only in tests: it carries addresses of its explanations."""
    code = [path for path in files_of(DELIVERED) if path.suffix in (".js", ".css")]
    assert_none(
        "a page loads everything from the server that it came from",
        [f"{place(path)}: {one}" for path in code for one in loads(path.read_text(encoding="utf-8"))],
    )


@pytest.mark.parametrize(
    "text",
    ['import"https://cdn.example.org/a.js"', "url(//fonts.example.org/a.woff2)", "'wss://example.org/'"],
)
def test_an_address_of_another_host_would_be_noticed(text: str):
    assert loads(text)
    assert not loads(f"/* {text} */")


def test_the_wheel_has_the_vendored_files_and_their_licences(tmp_path: Path):
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as wheel:
        inside = {name: hashlib.sha256(wheel.read(name)).hexdigest() for name in wheel.namelist()}
        metadata = next(wheel.read(name).decode() for name in inside if name.endswith(".dist-info/METADATA"))
    wanted = {path.relative_to(ROOT / "src").as_posix(): path for path in files_of(DELIVERED)}
    assert_none(
        "in the wheel, byte for byte",
        [n for n, path in wanted.items() if inside.get(n) != hashlib.sha256(path.read_bytes()).hexdigest()],
    )
    licences = set(Parser().parsestr(metadata).get_all("License-File", []))
    assert licences >= {place(path) for path in files_of(DELIVERED) if path.name.startswith("LICENSE")}
    assert not [name for name in inside if "axe" in name]
