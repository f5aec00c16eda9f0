"""``smallsight lost``: what a person wrote about pictures that are gone, and giving it to another picture."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output
from smallsight.cli.picture import report_details
from smallsight.policy.shown_text import on_one_line

lost_app = typer.Typer(
    help="List your words about pictures that are gone, or attach them.", no_args_is_help=False
)


@lost_app.callback(invoke_without_command=True)
def list_lost(context: typer.Context, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the descriptions, corrections and tags whose pictures are gone."""
    out = get_output(json=json, quiet=quiet)
    if context.invoked_subcommand is not None:
        return
    from smallsight.library.lost_words import list_lost_words
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    with Application(load_settings(), for_writing=False) as application:
        found = list_lost_words(application.database)
    if out.json:
        rows = [asdict(one) for one in found]
        out.emit([{**row, "paths": [str(path) for path in row["paths"]]} for row in rows])
        return
    from smallsight.cli.table import Column, ListRow, print_table

    listed = []
    for one in found:
        words = (("description", one.description), ("text", one.text), ("tags", ", ".join(one.tags)))
        note = "\n".join(f"{name}: {on_one_line(text)}" for name, text in words if text)
        where = str(one.paths[-1]) if one.paths else "in a folder that was forgotten"
        listed.append(ListRow((one.id, where, _since(one.vanished_at_s)), note))
    print_table(out, (Column("ID"), Column("Picture"), Column("Gone since")), listed)
    if found:
        out.note("Give them to another picture: [bold]smallsight lost attach ID PICTURE[/]")
    else:
        out.note("Nothing that you wrote is without its picture.")


@lost_app.command("attach")
def attach(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `smallsight lost` prints it.")],
    picture: Annotated[Path, typer.Argument(help="A picture of the library.")],
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Give a picture the words of one that is gone.

    What you wrote about it itself stays.
    """
    from smallsight.library.lost_words import attach_words
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    with Application(load_settings(), for_writing=True) as application:
        content_id = application.library.find_content(picture)
        attach_words(application.database, id_, content_id)
        details = application.library.details(content_id)
        side_px = application.settings.index.ocr_max_side_px
        report_details(out, details, application.thumbnail(details.sha256), side_px)


def _since(vanished_at_s: float | None) -> str:
    if vanished_at_s is None:
        return ""
    return f"{datetime.fromtimestamp(vanished_at_s, UTC).astimezone():%Y-%m-%d}"
