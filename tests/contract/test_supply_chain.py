"""What is installed is locked: one version of everything, with hashes, and no known vulnerabilities."""

from __future__ import annotations

import json
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from release.lock import LOCKS, header
from release.pins import Advisory, read_advisories, read_pins

from contract.checkout import ROOT, assert_none

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = {pin.name: pin.version for pin in read_pins(ROOT / "constraints.txt")}
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
WANTED = {
    "demo": [*PROJECT["project"]["dependencies"], *EXTRAS["ocr"], *EXTRAS["validate"], "hatchling"],
    "dev": [
        *PROJECT["project"]["dependencies"],
        *(one for extra, wanted in EXTRAS.items() if extra != "torch" for one in wanted),  # see decision 25
        *GROUPS["dev"],
        "hatchling",
    ],
    "image": [*PROJECT["project"]["dependencies"], *EXTRAS["mcp"]],
    "image-reading": [*PROJECT["project"]["dependencies"], *EXTRAS["mcp"], *EXTRAS["ocr"]],
    "docs": GROUPS["docs"],
    "release": GROUPS["release"],
}


def locked(name):
    return {pin.name: pin for pin in read_pins(ROOT / "requirements" / f"{name}.txt")}


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_has_the_hashes_of_its_files(name):
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert_none("one exact version a line", [one for one in lines if one[:1] not in " #" and "==" not in one])
    assert lines[0] + "\n" == header(name)
    assert_none("a version has hashes", [pin.name for pin in locked(name).values() if pin.num_hashes == 0])
    assert locked(name)


@pytest.mark.parametrize("name", WANTED)
def test_the_locks_hold_what_the_project_needs(name):
    needed = [Requirement(one) for one in WANTED[name]]
    found = locked(name)
    wrong = [
        str(one)
        for one in needed
        if canonicalize_name(one.name) not in found
        or found[canonicalize_name(one.name)].version not in one.specifier
    ]
    assert_none("run `make lock`", wrong)


@pytest.mark.parametrize("name", ["demo", "dev", "image", "image-reading"])
def test_the_locked_versions_are_those_that_were_tested(name):
    wrong = [pin.name for pin in locked(name).values() if CONSTRAINTS.get(pin.name) != pin.version]
    assert_none("constraints.txt has every locked version; run `make lock`", wrong)


def test_clients_from_npm_are_locked_too():
    """Without addresses of files: npm asks the registry of its configuration, and compares the hashes."""
    folder = ROOT / "tests" / "e2e" / "clients" / "js"
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    found = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert found.pop("")["dependencies"] == wanted
    locked = {name.removeprefix("node_modules/"): row for name, row in found.items()}
    differing = [name for name, version in wanted.items() if locked[name]["version"] != version]
    assert_none("one exact version of each client", differing)
    loose = [name for name, row in locked.items() if "resolved" in row or row["integrity"][:7] != "sha512-"]
    assert_none("a hash, and no address", loose)


def test_no_version_has_a_known_vulnerability():
    pins = [pin for name in LOCKS for pin in locked(name).values()]
    pins += read_pins(ROOT / "constraints.txt")
    hits = [
        f"{pin.name}: {one.id}"
        for pin in pins
        for one in read_advisories()
        if one.concerns(pin.name, pin.version)
    ]
    assert_none("a version without known vulnerabilities", hits)


def test_no_version_that_the_project_allows_has_one():
    """Of what it names itself, so that an installation without the locks is safe too."""
    named = [Requirement(one) for one in (*PROJECT["project"]["dependencies"], *sum(EXTRAS.values(), []))]
    hits = [
        f"{one.name}: {advisory.id}"
        for one in named
        for advisory in read_advisories()
        if any(
            specifier.operator in (">=", "==") and advisory.concerns(one.name, Version(specifier.version))
            for specifier in one.specifier
        )
    ]
    assert_none("floors in pyproject.toml are above what was fixed", hits)


def test_an_advisory_would_be_noticed():
    advisory = Advisory("CVE-1", "jinja2", Version("3.1.6"), "")
    assert advisory.concerns("jinja2", Version("3.1.5"))
    assert not advisory.concerns("jinja2", Version("3.1.6"))
    assert not advisory.concerns("pillow", Version("3.1.5"))
