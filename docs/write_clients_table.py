"""Writes docs/clients.md: the client packages that the tests run, their versions, and what works with each.

``python docs/write_clients_table.py`` writes it from ``tests/e2e/clients/clients.toml`` and the lock files;
``--check`` only compares, and exits with 1 when the page is out of date.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "clients.md"
CLIENTS = ROOT / "tests" / "e2e" / "clients"
_HEAD = """# Clients

Each of these packages is installed in the version below, and run against a server with a key whenever
`make test-all` runs, as its documentation says: `tests/e2e/clients/clients.toml` names the programs. The
model is Smallsight-tiny. This page is written by `docs/write_clients_table.py`.

A *forced tool* is one that the request demands, which is how several clients ask for structured answers.
*Offered tools* are answered in text by models that were not trained to call them. A dash means that the
program does not try it: the client or its protocol lacks it, or another row has it.
"""
_BY_HAND = """
Run once by hand with the program that `clients.toml` names, not by the tests, for the reasons below:
"""
_LIMITS = """
Ways to use a client that do not work, and why. Larger models do more of them:
"""
_COLUMNS = ("picture", "stream", "second turn", "structured output", "forced tool", "offered tools")


def versions() -> dict[tuple[str, str], str]:
    """Return the locked version of every package, by language and name."""
    found = {}
    for line in (ROOT / "requirements" / "clients.txt").read_text(encoding="utf-8").splitlines():
        if pin := re.match(r"([\w.-]+)==([^\s;\\]+)", line):
            found["python", _canonical(pin[1])] = pin[2]
    lock = CLIENTS / "js" / "package-lock.json"
    if lock.is_file():
        for path, package in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
            if path.startswith("node_modules/") and path.count("node_modules/") == 1:
                found["npm", path.removeprefix("node_modules/")] = package["version"]
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def page() -> str:
    """Return the whole page."""
    records = tomllib.loads((CLIENTS / "clients.toml").read_text(encoding="utf-8"))
    clients, by_hand = records["client"], records["by_hand"]
    known = versions()
    titles = ("package", "version", "from", "protocol", *_COLUMNS, "also")
    head = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    lines = [*head, *(_row(client, _version(client, known)) for client in clients)]
    refused = [
        f"- `{client['package']}`, {feature}: {reason}"
        for client in clients
        for feature, reason in client.get("cannot", {}).items()
    ]
    parts = [_HEAD, "\n".join(lines)]
    if refused:
        parts += ["\nWhat does not work, and why; the tests expect the refusal:\n", "\n".join(refused)]
    parts += [_BY_HAND, "\n".join([*head, *(_row(client, client["version"]) for client in by_hand)]), ""]
    parts += [f"- `{client['package']}`: {client['why']}." for client in by_hand]
    parts += [_LIMITS]
    parts += [f"- `{limit['package']}`, {limit['way']}: {limit['why']}." for limit in records["limit"]]
    parts += ["\nPrograms that are not packages for programmers: [replayed and run](replayed_clients.md)."]
    return "\n".join(parts) + "\n"


def _version(client: dict[str, Any], known: dict[tuple[str, str], str]) -> str:
    language, package = client["language"], client["package"]
    return known[language, _canonical(package) if language == "python" else package]


def _row(client: dict[str, Any], version: str) -> str:
    features = client["features"]
    refused = client.get("cannot", {})
    marks = ["yes" if one in features else "no" if one in refused else "–" for one in _COLUMNS]
    cells = [
        f"`{client['package']}`",
        version,
        "PyPI" if client["language"] == "python" else "npm",
        client["protocol"],
        *marks,
        ", ".join(one for one in features if one not in _COLUMNS),
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str]) -> int:
    """Write or check the page; return the exit code."""
    text = page()
    is_old = not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text
    if is_old and "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
    if is_old:
        sys.stdout.write(f"{'out of date' if '--check' in arguments else 'written'}: docs/clients.md\n")
    return int(is_old and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
