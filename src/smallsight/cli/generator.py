"""``smallsight generator``: describes pictures for meme-search until it is stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.machine.matrix_threads import use_one_matrix_thread


def generator(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; default: generator.host.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = None,
    app_url: Annotated[
        str | None, typer.Option("--app-url", help="Address of meme-search; default: generator.app_url.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Folder with meme-search's pictures.")
    ] = None,
    database: Annotated[Path | None, typer.Option("--database", help="SQLite file of the jobs.")] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option("--log-format", help="Text, or JSON with one object per line for log collectors."),
    ] = None,
    test_mode: Annotated[
        bool,
        typer.Option(
            "--test-mode",
            help="Behave as the original's test mode: a new tests/db/job_queue.db in this folder, callbacks "
            "to port 3000 of localhost, pictures by any path.",
        ),
    ] = False,
    undelivered: Annotated[
        bool,
        typer.Option("--undelivered", help="List callbacks that meme-search has not accepted, and exit."),
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Describe pictures for meme-search, as its generator does."""
    out = get_output(json=json, quiet=quiet)
    given = {"host": host, "port": port, "app_url": app_url, "pictures": pictures, "database": database}
    flags: dict[str, Any] = {"generator": {name: one for name, one in given.items() if one is not None}}
    flags |= {} if log_format is None else {"log_format": log_format}
    if undelivered:
        _list_undelivered(out, flags)
    else:
        _serve(out, flags | ({"log_level": "info"} if test_mode else {}), test_mode=test_mode)


def _serve(out: Output, flags: dict[str, Any], *, test_mode: bool) -> None:
    """Run the generator until a signal."""
    use_one_matrix_thread()
    from smallsight.generator.generator import TestMode
    from smallsight.serve.generator_process import serve_generator
    from smallsight.services.live_settings import LiveSettings
    from smallsight.services.logs import configure_logging

    live = LiveSettings(flags)
    settings = live.current()
    configure_logging(settings.log_level, settings.log_format)
    mode = TestMode.here() if test_mode else None
    serve_generator(live, lambda url: _announce(out, url), test_mode=mode)


def _announce(out: Output, url: str) -> None:
    if out.json:
        out.emit({"url": url, "pid": os.getpid()})
    else:
        out.note(f"meme-search's generator listens on {url}, Ctrl-C stops it.")


def _list_undelivered(out: Output, flags: dict[str, Any]) -> None:
    """Print the callbacks that were not accepted, from the file of the jobs."""
    from dataclasses import asdict

    from smallsight.generator.generator import database_path
    from smallsight.generator.job_store import read_undelivered
    from smallsight.settings import load_settings

    rows = read_undelivered(database_path(load_settings(**flags)))
    if out.json:
        out.emit({"undelivered": [asdict(row) for row in rows]})
        return
    if not rows:
        out.note("Everything that was sent has been accepted.")
    for row in rows:
        state = "is sent again" if row.ended_s is None else "is not sent again"
        what = "the description" if row.status is None else f"status {row.status}"
        out.note(
            f"picture {row.image_core_id}, attempt {row.attempt_id}: {what} {state} ({row.num_tries} failed "
            f"tries, {row.why})"
        )
