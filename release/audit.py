"""Compares the locked requirements with known vulnerabilities, and writes a bill of materials (CycloneDX).

Run it with ``make audit``. pip-audit asks the package index; what the index does not answer for is compared
with the stored advisories alone, and counted. Exits with 1 if any version has a known vulnerability.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from release.bill import complete
from release.licence_rules import read_rules
from release.pins import ROOT, read_advisories, read_pins

# What users install and what tests install; other people's programs, which tests run; constraints.txt for the
# parity group.
LOCKED = ("requirements/dev.txt", "requirements/clients.txt")
AUDITED = (*LOCKED, "constraints.txt")
DELIVERED = "requirements/demo.txt"


def stored_hits() -> list[str]:
    """Return one line for each locked version that has a stored advisory."""
    advisories = read_advisories()
    return [
        f"{pin.name} {pin.version}: {advisory.id}, fixed in {advisory.fixed_in} ({advisory.what})"
        for name in AUDITED
        for pin in read_pins(ROOT / name)
        for advisory in advisories
        if advisory.concerns(pin.name, pin.version)
    ]


def ask_index(name: str) -> list[dict[str, Any]]:
    """Return pip-audit's rows about the packages of one file; it downloads none of them."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / name)]
    command += ["--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        rows: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        sys.stderr.write(done.stderr)
        return []
    return rows


def write_sbom(target: Path) -> int:
    """Write what users get, with hashes and licences, in CycloneDX 1.6; return how many components."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - of the release group, installed for audits only
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(ROOT / DELIVERED)]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type=application", "--validate"]
    command += ["--output-reproducible", "--spec-version=1.6", "--output-file", str(target)]
    subprocess.run(command, check=True)
    bill = complete(json.loads(target.read_text(encoding="utf-8")), read_rules())
    target.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    if (
        problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(target.read_text(encoding="utf-8"))
    ) is not None:
        raise SystemExit(f"The bill of materials does not follow its schema: {problem}")
    return len(bill["components"])


def main() -> int:
    """Print what was found; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sbom", type=Path, required=True, help="file for the bill of materials")
    num_components = write_sbom(target := parser.parse_args().sbom)
    print(f"bill of materials: {num_components} components in {target}")
    found: list[str] = []
    for name in LOCKED:
        rows = ask_index(name)
        answered = [row for row in rows if "skip_reason" not in row]
        hits = [
            f"{name}: {row['name']} {row['version']}: {one['id']}"
            for row in answered
            for one in row.get("vulns", ())
        ]
        print(f"{name}: {len(answered)} of {len(rows)} packages looked up in the index, {len(hits)} hits")
        found += hits
    stored = stored_hits()
    print(f"stored advisories: {len(read_advisories())}, {len(stored)} hits")
    for line in (*found, *stored):
        print(f"  {line}")
    return 1 if found or stored else 0


if __name__ == "__main__":
    sys.exit(main())
