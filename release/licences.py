"""Compares the licences of all that people get, and of what tests and builds use, with release/licences.toml.

Part of ``make check``. It reads the metadata of installed packages, the shared libraries inside the wheels
that an image holds, the catalogue of models, the models in the package, and the files vendored for browsers.
Each licence that is unknown or not allowed is one sentence, and the exit code is 1.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from release.licence_rules import Rules, as_spdx, is_allowed, licence_of, read_rules
from release.pins import ROOT, read_pins

# requirements/clients.txt is not among them: other people's programs, installed apart and never delivered.
LOCKED = ("requirements/dev.txt", "requirements/docs.txt", "requirements/text-model.txt")
IN_IMAGES = ("requirements/image.txt", "requirements/image-reading.txt", "requirements/text-model.txt")
CATALOGUE = ROOT / "src" / "smallsight" / "catalog" / "entries.toml"
SHIPPED = ROOT / "src" / "smallsight" / "shipped"
VENDORED = ROOT / "release" / "vendored_web.json"
_HINT = "hint: read its licence and enter it in release/licences.toml"


def package_names(*files: str) -> list[str]:
    """Return the names of all packages of some locks."""
    return sorted({pin.name for name in files for pin in read_pins(ROOT / name)})


def package_licences(rules: Rules) -> dict[str, str | None]:
    """Return the licence of each locked package; what the rules say counts before the metadata."""
    return {name: rules.packages.get(name) or licence_of(name) for name in package_names(*LOCKED, *IN_IMAGES)}


def library_licences(rules: Rules) -> dict[str, str | None]:
    """Return the licence of each shared library inside the wheels of an image, as ``package: library``."""
    found: dict[str, str | None] = {}
    for package in package_names(*IN_IMAGES):
        try:
            files = metadata.files(package) or []
        except metadata.PackageNotFoundError:
            continue
        for path in files:
            if (name := library_name(path)) is not None:
                found[f"{package}: {name}"] = rules.libraries.get(name)
    return found


def library_name(path: PurePosixPath) -> str | None:
    """Return the name of a shared library of somebody else's, without version; None for a Python module."""
    if not path.parts[0].endswith(".libs") and "libs" not in path.parts:
        return None
    match = re.match(r"(lib[\w-]+?)(?:-r\d+)?(?:-[0-9a-f]{8})*(?:[.-][\d.]+)?\.so", path.name)
    return None if match is None else "libopenvino" if match[1].startswith("libopenvino") else match[1]


def model_licences() -> dict[str, str | None]:
    """Return the licence of each model of the catalogue, and of those in the package."""
    entries = {one["name"]: one for one in tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))["entries"]}
    found: dict[str, str | None] = {}
    for name, one in entries.items():
        licence = (one if "licence" in one else entries[one["base"]])[
            "licence"
        ]  # a variant has that of its base
        found[f"model {name}"] = as_spdx(licence["spdx"])
    for card in sorted(SHIPPED.glob("*/README.md")):
        found[f"model in the package {card.parent.name}"] = licence_of_card(card)
    return found


def licence_of_card(card: Path) -> str | None:
    """Return the licence that a model's card states."""
    stated = re.search(r"^license: (\S+)$", card.read_text(encoding="utf-8"), re.MULTILINE)
    return as_spdx(stated[1]) if stated else None


def vendored_licences() -> dict[str, str | None]:
    """Return the licence of what is vendored."""
    pieces = json.loads(VENDORED.read_text(encoding="utf-8"))["pieces"]
    return {f"vendored {one['name']}": as_spdx(one["licence"]) for one in pieces}


def faults(found: dict[str, str | None], rules: Rules) -> Iterator[str]:
    """Yield a sentence for each licence that is unknown, or not allowed in what we deliver."""
    for name, licence in found.items():
        if licence is None:
            yield f"{name}: its licence is unknown. {_HINT}"
        elif not is_allowed(licence, rules.allowed) and name not in rules.not_in_images:
            yield f"{name}: {licence} is not among the allowed licences. {_HINT}"


def image_faults(rules: Rules, names: list[str]) -> Iterator[str]:
    """Yield a sentence for each package that an image must not hold."""
    for name in sorted(rules.not_in_images.keys() & set(names)):
        yield f"{name}: an image must not hold it, because of {rules.not_in_images[name]}"


def stale_rules(rules: Rules, names: set[str], libraries: set[str]) -> Iterator[str]:
    """Yield a sentence for each rule about something that is not there any more."""
    for name in sorted(rules.packages.keys() - names):
        yield f"{name}: release/licences.toml names it, and no lock does"
    for name in sorted(rules.libraries.keys() - libraries):
        yield f"{name}: release/licences.toml names it, and no wheel of an image holds it"


def main() -> int:
    """Print what was compared and what is wrong; return the exit code."""
    rules = read_rules()
    packages, libraries = package_licences(rules), library_licences(rules)
    models, vendored = model_licences(), vendored_licences()
    wrong = [
        *faults({**packages, **libraries, **models, **vendored}, rules),
        *image_faults(rules, package_names(*IN_IMAGES)),
        *stale_rules(rules, packages.keys() | set(), {name.split(": ")[1] for name in libraries}),
    ]
    for line in wrong:
        sys.stderr.write(f"{line}\n")
    print(
        f"licences: {len(packages)} packages, {len(libraries)} libraries inside them, {len(models)} models, "
        f"{len(vendored)} vendored: {'none is' if not wrong else f'{len(wrong)} are'} wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
