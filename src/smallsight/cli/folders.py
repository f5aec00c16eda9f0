"""``smallsight folders``: lists, adds and forgets the folders of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsight.cli.completion import folder_paths
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output
from smallsight.policy.shown_text import on_one_line

app = typer.Typer(help="List, add or forget the folders of the library.", invoke_without_command=True)


@app.callback()
def folders(context: typer.Context, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List, add or forget the folders of the library."""
    output = get_output(json=json, quiet=quiet)
    if context.invoked_subcommand is None:
        list_folders(json=output.json, quiet=output.quiet)


@app.command("list")
def list_folders(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the folders of the library."""
    from smallsight.cli.table import Column, ListRow, print_table
    from smallsight.cli.units import moment_text
    from smallsight.services.application import Application
    from smallsight.settings_snapshot import load_library_settings

    out = get_output(json=json, quiet=quiet)
    with Application(load_library_settings(), for_writing=False) as application:
        summaries = application.library.folders()
    if out.json:
        out.emit(
            [
                {
                    "path": str(summary.path),
                    "pictures": summary.num_pictures,
                    "vanished": summary.num_vanished,
                    "scanned_at_s": summary.scanned_at_s,
                }
                for summary in summaries
            ]
        )
        return
    columns = (
        Column("Folder"),
        Column("Pictures", is_number=True),
        Column("Vanished", is_number=True),
        Column("Scanned"),
    )
    rows = [
        ListRow(
            (
                str(one.path),
                f"{one.num_pictures:,}",
                f"{one.num_vanished:,}" if one.num_vanished else "",
                "never" if one.scanned_at_s is None else moment_text(one.scanned_at_s),
            )
        )
        for one in summaries
    ]
    print_table(out, columns, rows)
    if not summaries:
        out.note("The library has no folders: [bold]smallsight index FOLDER[/] adds one.")


@app.command("add")
def add_folder(
    folder: Annotated[Path, typer.Argument(help="A folder with pictures.")],
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Add a folder without indexing it yet."""
    from rich.markup import escape

    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application(load_settings(), for_writing=True, for_run=True) as application:
        summary = application.library.add_folder(folder)
    if out.json:
        out.emit({"added": str(summary.path)})
        return
    is_inside = summary.path != folder.expanduser().resolve()
    path = escape(on_one_line(summary.path))
    added = f"It is in {path}, which the library has." if is_inside else f"Added {path}."
    out.note(f"{added} [bold]smallsight index[/] indexes its pictures.")


@app.command("rm", hidden=True)
@app.command("remove")
def remove_folder(
    folder: Annotated[Path, typer.Argument(help="The folder to forget.", autocompletion=folder_paths)],
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Forget a folder; its files are not touched."""
    from rich.markup import escape

    from smallsight.cli.units import counted
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application(load_settings(), for_writing=True, for_run=True) as application:
        summary = application.library.remove_folder(folder)
    if out.json:
        out.emit({"removed": str(summary.path), "pictures": summary.num_pictures})
    else:
        path = escape(on_one_line(summary.path))
        pictures = counted(summary.num_pictures, "picture")
        out.note(f"Removed {path} and its {pictures} from the library; the files are untouched.")
