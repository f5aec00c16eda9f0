"""``smallsight duplicates``: lists identical files, and pictures that look alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from smallsight.cli.output import JsonFlag, Output, QuietFlag, get_output
from smallsight.policy.shown_text import on_one_line


def duplicates(
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            min=0,
            max=32,
            help="Bits of 64 that may differ; default: search.near_duplicate_bits.",
        ),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """List identical files, and pictures that look alike."""
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application(load_settings(), for_writing=False) as application:
        same = application.library.duplicates()
        alike = application.library.near_duplicates(
            application.settings.search.near_duplicate_bits if bits is None else bits
        )
    if out.json:
        out.emit({"same": _as_data(same), "alike": _as_data(alike)})
        return
    _print_groups(out, "Identical files", same)
    _print_groups(out, "Look alike", alike)
    if not same and not alike:
        out.note("No identical files, and no pictures that look alike.")


def _as_data(groups: list[tuple[Path, ...]]) -> list[list[str]]:
    return [[str(path) for path in group] for group in groups]


def _print_groups(out: Output, title: str, groups: list[tuple[Path, ...]]) -> None:
    from rich.text import Text

    for group in groups:
        lines: list[Any] = [Text(f"{title}:", style="bold")]
        lines += [Text(f"  {on_one_line(path)}", style=f"link {path.as_uri()}") for path in group]
        for line in lines:
            out.console.print(line)
