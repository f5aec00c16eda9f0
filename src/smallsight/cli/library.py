"""``smallsight library``: a backup of the library while it is in use, and checks of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output
from smallsight.errors import LibraryDamagedError
from smallsight.policy.shown_text import on_one_line

library_app = typer.Typer(help="Back up the library, or check it.", no_args_is_help=True)

_MAX_SHOWN = 20


@library_app.callback()
def library(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Back up the library, or check it."""
    get_output(json=json, quiet=quiet)


@library_app.command("backup")
def back_up_library(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file, such as pictures.backup.")],
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Copy the library to one file; it may be in use meanwhile."""
    from smallsight.library.backup import back_up
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    num_bytes = back_up(load_settings().database_path, file.expanduser().absolute())
    if out.json:
        out.emit({"file": str(file), "bytes": num_bytes})
    else:
        out.note(f"[green]Backed up[/] and checked: {num_bytes:,} bytes. The guide says how to restore it.")


@library_app.command("check")
def check(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Check the database, its indexes, and that its files are there."""
    from smallsight.library.backup import check_files, check_library
    from smallsight.services.application import Application
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    settings = load_settings()
    problems = check_library(settings.database_path)
    gone: tuple[str, ...] = ()
    thumbnails: tuple[str, ...] = ()
    if not problems:
        with Application(settings, for_writing=False) as application:
            files = check_files(application.database, settings.thumbnails_dir)
        gone, thumbnails = files.pictures, files.thumbnails
    if out.json:
        out.emit(
            {"problems": problems, "missing_pictures": list(gone), "missing_thumbnails": list(thumbnails)}
        )
    else:
        for problem in problems:
            out.console.print(on_one_line(problem), markup=False)
        for what, paths in (("picture", gone), ("thumbnail", thumbnails)):
            for path in paths[:_MAX_SHOWN]:
                out.console.print(f"missing {what}: {on_one_line(path)}", markup=False)
            if len(paths) > _MAX_SHOWN:
                out.note(f"… and {len(paths) - _MAX_SHOWN:,} more; `--json` lists all of them.")
        if not problems:
            out.note("[green]The database and its search indexes are sound.[/]")
    if problems:
        raise typer.Exit(LibraryDamagedError.exit_code)
