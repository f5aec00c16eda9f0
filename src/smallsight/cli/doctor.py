"""``smallsight doctor``: prints what this machine has, what is missing, and how to fix it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from rich.text import Text

_MARGIN, _NARROW = 21, 20

_MARKS = {
    "good": ("✓", "green"),
    "note": ("•", "yellow"),
    "missing": ("–", "yellow"),
    "bad": ("✗", "bold red"),
}


def doctor(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Check this installation, and say how to fix what is missing."""
    from rich.text import Text

    from smallsight.cli.check_result import Severity
    from smallsight.cli.diagnosis import examine

    out = get_output(json=json, quiet=quiet)
    findings: list[dict[str, Any]] = []
    for finding in examine():
        findings.append(asdict(finding))
        if out.json:
            continue
        mark, style = _MARKS[finding.health]
        head = Text.assemble((f"{mark} ", style), (f"{finding.name:<18} ", "bold"))
        _print_beside(out, head, Text(on_one_line(finding.text)))
        if finding.remedy is not None:
            _print_beside(out, Text(" " * _MARGIN), Text(on_one_line(finding.remedy), style="cyan"))
    if out.json:
        out.emit({"findings": findings})
    if any(finding["health"] == Severity.BAD for finding in findings):
        raise typer.Exit(5)


def _print_beside(out: Output, head: Text, text: Text) -> None:
    """Print a text beside its head, wrapped on a terminal to what is left of the line."""
    from rich.text import Text

    width = out.console.width - _MARGIN
    lines = [text] if out.console.soft_wrap or width < _NARROW else list(text.wrap(out.console, width))
    for number, line in enumerate(lines):
        start = head if number == 0 else Text(" " * _MARGIN)
        out.console.print(start + line, soft_wrap=True)
