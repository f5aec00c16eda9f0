"""Reads licences from packages' metadata, and compares SPDX expressions with those that are allowed."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from release.pins import ROOT

RULES = ROOT / "release" / "licences.toml"
# How metadata spells licences that have an identifier. "BSD License" is not here: it may be either of two.
_SPELLINGS = {
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "osi approved :: apache software license": "Apache-2.0",
}
_FIELDS = ("License-Expression", "License")
_PART = re.compile(r"\(|\)|\bAND\b|\bOR\b|[\w.+-]+(?: WITH [\w.+-]+)?")


@dataclass(frozen=True, slots=True)
class Rules:
    """release/licences.toml."""

    allowed: dict[str, str]
    packages: dict[str, str]
    libraries: dict[str, str]
    not_in_images: dict[str, str]


def read_rules(path: Path = RULES) -> Rules:
    """Return the rules; each package's entry has a licence and where it was read."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    stated = {name: licence for name, (licence, _where) in found["packages"].items()}
    return Rules(found["allowed"], stated, found["libraries"], found["not_in_images"])


def as_spdx(text: str | None) -> str | None:
    """Return a licence as an SPDX expression, or None if it is not one and not a known spelling."""
    if not text:
        return None
    if (known := _SPELLINGS.get(text.strip().lower())) is not None:
        return known
    try:
        return canonicalize_license_expression(text.strip())
    except InvalidLicenseExpression:
        return None


def licence_of(package: str) -> str | None:
    """Return the licence that an installed package states, as SPDX; None if it is not installed or not clear.

    The expression of today's metadata counts first, then the older field, then the classifiers, of which
    every one has to be known and all apply.
    """
    try:
        stated = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return None
    if found := next(filter(None, (as_spdx(stated[name]) for name in _FIELDS)), None):
        return found
    classifiers = [one for one in stated.get_all("Classifier") or () if one.startswith("License ::")]
    names = {as_spdx(one.rpartition(" :: ")[2]) for one in classifiers if not one.endswith("OSI Approved")}
    known = sorted(name for name in names if name is not None)
    return " AND ".join(known) if known and None not in names else None


def is_allowed(expression: str, allowed: dict[str, str]) -> bool:
    """Return whether an expression may be complied with by allowed licences: all of AND, one of OR."""
    parts = _PART.findall(expression)
    value, rest = _either(parts, allowed)
    if rest:
        raise ValueError(f"Not an SPDX expression: {expression}")
    return value


def _either(parts: list[str], allowed: dict[str, str]) -> tuple[bool, list[str]]:
    value, rest = _both(parts, allowed)
    while rest[:1] == ["OR"]:
        other, rest = _both(rest[1:], allowed)
        value = value or other
    return value, rest


def _both(parts: list[str], allowed: dict[str, str]) -> tuple[bool, list[str]]:
    value, rest = _one(parts, allowed)
    while rest[:1] == ["AND"]:
        other, rest = _one(rest[1:], allowed)
        value = value and other
    return value, rest


def _one(parts: list[str], allowed: dict[str, str]) -> tuple[bool, list[str]]:
    if parts[:1] != ["("]:
        return parts[0] in allowed, parts[1:]
    value, rest = _either(parts[1:], allowed)
    return value, rest[1:]
