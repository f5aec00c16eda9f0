"""``smallsight undo`` and ``smallsight redo``: take back the last edits, or make them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.cli.units import counted
from smallsight.errors import SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.library.edit_journal import JournalEntry
    from smallsight.library.undo import UndoReport
    from smallsight.services.application import Application

_NAMES = {"description": "description", "text": "text", "before": "attached words"}
_MAX_LINES = 20


def undo(
    number: Annotated[
        int | None,
        typer.Argument(metavar="[EDIT]", help="An edit of `smallsight undo --list`; default: the last one."),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List the edits that can be undone or redone.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Take back the last edit of pictures or tags.

    Again, it takes back the one before it.
    What you have changed since, in an edit that stays, is kept.
    """
    from smallsight.library.edit_journal import list_edits
    from smallsight.library.undo import undo as undo_edit
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    if list_ and number is not None:
        raise SettingsError("An edit and --list contradict each other.", hint="leave one out.")
    if list_:
        with Application(load_settings(), for_writing=False) as application:
            _print_entries(out, list_edits(application.database))
        return
    with Application.for_editing(load_settings()) as application:
        report = undo_edit(application.database, number)
        _report(out, application, report, "Undone")
    out.note("[dim]`smallsight redo` makes it again; `smallsight undo --list` lists the edits.[/]")


def redo(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Make the edit again that was undone last."""
    from smallsight.library.undo import redo as redo_edit
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application.for_editing(load_settings()) as application:
        report = redo_edit(application.database)
        _report(out, application, report, "Done again")


def _print_entries(out: Output, entries: list[JournalEntry]) -> None:
    if out.json:
        out.emit(
            [
                {
                    "edit": one.id,
                    "made_at_s": one.made_at_s,
                    "summary": one.summary,
                    "pictures": one.num_contents,
                    "undone": one.is_undone,
                }
                for one in entries
            ]
        )
        return
    from smallsight.cli.table import Column, ListRow, print_table
    from smallsight.cli.units import moment_text

    columns = (
        Column("Edit", is_number=True),
        Column("Made"),
        Column("Pictures", is_number=True),
        Column("What"),
    )
    rows = [
        ListRow(
            (
                str(one.id),
                moment_text(one.made_at_s),
                f"{one.num_contents:,}",
                f"{one.summary} (undone)" if one.is_undone else one.summary,
            )
        )
        for one in entries
    ]
    print_table(out, columns, rows)
    if not entries:
        out.note("There is no edit to undo.")


def _report(out: Output, application: Application, report: UndoReport, done: str) -> None:
    """Say what was restored, and for each picture what was changed since and therefore kept."""
    entry = report.entry
    kept = []
    for content_id, keys in report.kept.items():
        details = application.library.details(content_id)
        path = str(details.paths[0]) if details.paths else details.sha256[:12]
        kept.append((path, list(dict.fromkeys(map(_name, keys)))))
    if out.json:
        out.emit(
            {
                "edit": entry.id,
                "summary": entry.summary,
                "restored": len(report.restored),
                "kept": [{"path": path, "what": names} for path, names in kept],
            }
        )
        return
    summary = f"{done}: {on_one_line(entry.summary)} ({counted(len(report.restored), 'picture')})."
    out.console.print(summary, markup=False)
    for path, names in kept[:_MAX_LINES]:
        line = f"{on_one_line(path)}: changed since, and kept as it is: {on_one_line(', '.join(names))}"
        out.err.print(line, markup=False)
    if len(kept) > _MAX_LINES:
        out.note(f"… and {len(kept) - _MAX_LINES:,} more; `--json` lists all of them.")


def _name(key: str) -> str:
    """Return the name of a key of ``library.word_state`` for a person."""
    kind, _, name = key.partition(" ")
    return _NAMES.get(kind, f"tag {name}")
