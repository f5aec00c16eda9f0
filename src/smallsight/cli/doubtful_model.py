"""Warns of a model that was judged "do not ship" before it answers everybody's questions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from smallsight.cli.output import Output
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.settings import Settings


def check_verdict(out: Output, name: str, settings: Settings, *, asks: bool) -> None:
    """Warn on standard error if the model must not ship; on a terminal, ask whether to go on where wanted.

    Ends the command if the answer is no. Where nobody can be asked, the warning has to do.
    """
    from smallsight.cli.model_details import verdict_text
    from smallsight.services.model_verdicts import ModelVerdicts

    verdict = ModelVerdicts.here(settings).of_name(name)
    if not verdict.is_doubtful:
        return
    found = verdict.measured
    against = f" against {on_one_line(found.base)}" if found is not None else ""
    sys.stderr.write(f"warning: {on_one_line(name)} was judged{against}: {verdict_text(verdict)}.\n")
    for reason in () if found is None else found.reasons:
        sys.stderr.write(f"  {on_one_line(reason)}\n")
    sys.stderr.flush()
    if asks and not out.json and sys.stdin.isatty() and not typer.confirm("Use it all the same?", err=True):
        raise typer.Exit(0)
