"""Where things are in the checkout, for tests that read its files."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "smallsight"
GUIDE = ROOT / "docs" / "guide.md"
_NOT_OURS = {".git", ".venv", ".make", "__pycache__", ".smallsight-demo", "results"}


@cache
def committed_files() -> tuple[Path, ...]:
    """Return every file that is, or would be, part of a commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        names = (ROOT / name for name in listed.stdout.split("\0") if name)
    else:  # not a git checkout: an unpacked archive
        names = (path for path in ROOT.rglob("*") if not _NOT_OURS & set(path.relative_to(ROOT).parts))
    return tuple(sorted(path for path in names if path.is_file()))


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below folders of the checkout."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def markdown_files() -> list[Path]:
    """Return the committed Markdown files."""
    return [path for path in committed_files() if path.suffix == ".md"]


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path) -> str:
    """Return a path as it is shown in messages."""
    return path.relative_to(ROOT).as_posix()


def assert_none(rule: str, offenders: Iterable[str]) -> None:
    """Fail with the rule and every offender against it, one a line, if there are any."""
    found = list(offenders)
    assert not found, "\n".join([f"{rule} ({len(found)} offenders)", *(f"  {one}" for one in found)])
