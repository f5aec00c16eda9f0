"""Reads the locked requirements, and the stored advisories that they are compared with."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
ADVISORIES = ROOT / "release" / "advisories.json"

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(.*)$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One version, and how many files of it are allowed."""

    name: str
    version: Version
    num_hashes: int


@dataclass(frozen=True, slots=True)
class Advisory:
    """A vulnerability of all versions of a package before ``fixed_in``."""

    id: str
    package: str
    fixed_in: Version
    what: str

    def concerns(self, name: str, version: Version) -> bool:
        """Return whether a version has it."""
        return name == self.package and version < self.fixed_in


def read_pins(path: Path) -> list[Pin]:
    """Return the versions of a file in requirements/, or of constraints.txt."""
    pins: list[Pin] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := _PIN.match(line):
            pins.append(Pin(canonicalize_name(found[1]), Version(found[2]), 0))
        elif "--hash=sha256:" in line:
            last = pins.pop()
            pins.append(Pin(last.name, last.version, last.num_hashes + 1))
    return pins


def read_advisories(path: Path = ADVISORIES) -> list[Advisory]:
    """Return the stored advisories."""
    rows = json.loads(path.read_text(encoding="utf-8"))["advisories"]
    return [
        Advisory(row["id"], canonicalize_name(row["package"]), Version(row["fixed_in"]), row["what"])
        for row in rows
    ]
