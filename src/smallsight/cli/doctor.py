"""``smallsight doctor``: prints what this machine has, what is missing, and how to fix it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from smallsight.cli.output import JsonFlag, QuietFlag, get_output

_MARKS = {
    "good": ("✓", "green"),
    "note": ("•", "yellow"),
    "missing": ("–", "yellow"),
    "bad": ("✗", "bold red"),
}


def doctor(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Check this installation: what is here, what is missing, how to fix it."""
    from rich.text import Text

    from smallsight.cli.diagnosis import Severity, examine
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    findings: list[dict[str, Any]] = []
    for finding in examine(load_settings()):
        findings.append(asdict(finding))
        if out.json:
            continue
        mark, style = _MARKS[finding.health]
        line = Text(f"{mark} ", style=style)
        line.append(f"{finding.name:<18}", style="bold")
        line.append(f" {finding.text}")
        out.console.print(line)
        if finding.remedy is not None:
            out.console.print(Text(f"{'':<21}{finding.remedy}", style="cyan"))
    if out.json:
        out.emit({"findings": findings})
    if any(finding["health"] == Severity.BAD for finding in findings):
        raise typer.Exit(5)
