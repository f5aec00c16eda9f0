"""``smallsight import``: captions that other machines have written, taken into the library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.cli.units import counted
from smallsight.errors import CorruptPictureError

if TYPE_CHECKING:
    from smallsight.cli.progress_report import ProgressBar
    from smallsight.services.importing import CaptionImporter, ImportReport

_CaptionFiles = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILES", help="Parquet or JSON lines of `smallsight caption`, or of `describe --out`."
    ),
]
_CaptionColumn = Annotated[
    str | None,
    typer.Option("--column", help="The column with the captions; default: caption, or the only prompt's."),
]
_ModelOfOthers = Annotated[
    str | None,
    typer.Option("--model", help="What wrote captions whose rows name no model.", metavar="NAME"),
]
_ReplaceFlag = Annotated[
    bool, typer.Option("--replace", help="Replace what another model has written; never a person's words.")
]


def import_captions(
    files: _CaptionFiles,
    column: _CaptionColumn = None,
    model: _ModelOfOthers = None,
    replace: _ReplaceFlag = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Take captions of other machines into the library.

    They go to pictures with the same bytes.
    """
    from smallsight.captioning.caption_files import ColumnChoice
    from smallsight.services.application import Application
    from smallsight.services.importing import CaptionImporter
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    paths = [path.expanduser() for path in files]
    settings = load_settings()
    with Application.for_editing(settings) as application:
        importer = CaptionImporter(application, settings, ColumnChoice(column, model), replaces=replace)
        try:
            report = _run(importer, paths, out)
        except KeyboardInterrupt:
            out.note("Stopped. The same command continues: what is stored already is not stored again.")
            raise
    _report(report, out)
    if report.damaged:
        raise typer.Exit(report.damaged[0][1].exit_code)
    if report.num_unusable:
        raise typer.Exit(CorruptPictureError.exit_code)


def _run(importer: CaptionImporter, paths: list[Path], out: Output) -> ImportReport:
    from smallsight.cli.describe_files import print_problem
    from smallsight.cli.interrupts import remembered_interrupts

    with remembered_interrupts() as pressed:
        with out.progress("Importing", None, "rows") as bar:
            report = importer.run(paths, lambda *done: _show(bar, *done), pressed.is_set)
        if not out.json:
            for path, error in report.damaged:
                print_problem(path, error, out)
        if importer.changed_ids:
            with out.progress("Embedding", len(importer.changed_ids), "pictures") as bar:
                importer.embed(bar.advance)
    return report


def _show(bar: ProgressBar, num_rows: int, fraction: float) -> None:
    """Show how many rows were read, and an estimate of how many there are."""
    bar.update(completed=num_rows, total=max(num_rows, round(num_rows / fraction)) if fraction else None)


def _report(report: ImportReport, out: Output) -> None:
    if out.json:
        out.emit(_as_data(report))
        return
    from smallsight.library.importing import ImportedState

    shown = {
        ImportedState.KNOWN: "already here",
        ImportedState.KEPT_HUMAN: "kept as versions, because a person's or a file's words are in force",
        ImportedState.KEPT_MACHINE: "kept as versions beside another model's (--replace puts them in force)",
        ImportedState.NOT_HERE: "of pictures that are not in the library",
    }
    parts = [f"{counted(report.states[ImportedState.STORED], 'description')} stored"]
    parts += [f"{number:,} {words}" for state, words in shown.items() if (number := report.states[state])]
    out.note(f"{', '.join(parts)}.")
    if report.bad_rows:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in report.bad_rows.most_common())
        out.note(f"{counted(report.bad_rows.total(), 'row')} without a caption: {reasons}.")
    if report.states[ImportedState.NOT_HERE]:
        out.note("Index the folders with these pictures, then repeat the command.")


def _as_data(report: ImportReport) -> dict[str, Any]:
    from smallsight.library.importing import ImportedState

    return {
        "rows": report.rows,
        **{state.value: report.states[state] for state in ImportedState},
        "bad_rows": {reason.value: number for reason, number in sorted(report.bad_rows.items())},
        "problems": [
            {"path": str(path), "code": error.code, "message": error.message}
            for path, error in report.damaged
        ],
    }
