"""The clients that clients.toml lists, how their programs are run, and what they have to report."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ENDS_WITHIN_S = 300
NOWHERE = "http://127.0.0.1:9"  # a proxy that nobody runs: no client reaches anything but the server
QUIET = {
    "AGNO_TELEMETRY": "false",
    "HAYSTACK_TELEMETRY_ENABLED": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
}


@dataclass(frozen=True)
class ClientRecord:
    """One client: its program, what works with it, what does not and why, and what its user then reads."""

    name: str
    package: str
    language: str
    protocol: str
    program: str
    features: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)


def read_clients(language: str) -> list[ClientRecord]:
    """Return the clients of a language."""
    rows: list[dict[str, Any]] = tomllib.loads((HERE / "clients.toml").read_text(encoding="utf-8"))["client"]
    for row in rows:
        row |= {name: tuple(row[name]) for name in ("features", "arguments") if name in row}
    return [one for one in (ClientRecord(**row) for row in rows) if one.language == language]


def reported_by(
    client: ClientRecord, runner: Sequence[str | Path], home: Path, given: Mapping[str, str]
) -> dict[str, Any]:
    """Run the program of a client with a home folder, and return the last line that it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **QUIET}
    environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    options = [text for name, value in given.items() for text in (f"--{name}", value)]
    done = subprocess.run(
        [*map(str, runner), HERE / client.program, *client.arguments, *options],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def problems(client: ClientRecord, report: Mapping[str, Any]) -> list[str]:
    """Return where a report differs from the record: a feature fails, works against it, or is missing."""
    wrong = []
    for name in dict.fromkeys((*client.features, *client.cannot, *report)):
        told = report.get(name)
        if told is None or (name not in client.features and name not in client.cannot):
            wrong.append(f"{name}: {'not reported' if told is None else 'not in the record'}")
        elif told["ok"] is not (name in client.features):
            wrong.append(f"{name}: {'fails' if name in client.features else 'works'}: {told['said']}")
        elif name in client.cannot and client.says[name] not in told["said"]:
            wrong.append(f"{name}: does not say {client.says[name]!r}: {told['said']}")
    return wrong
