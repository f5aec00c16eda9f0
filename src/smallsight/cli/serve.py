"""``smallsight serve``: models behind OpenAI's protocol, until it is told to stop."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from smallsight.cli.output import JsonFlag, QuietFlag, get_output


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; this machine's own if not given.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model for requests that name none, loaded at the start.")
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Answer questions about pictures over HTTP, as OpenAI's API does."""
    from smallsight.server.process import serve as run
    from smallsight.services.live_settings import LiveSettings
    from smallsight.services.logs import configure_logging

    out = get_output(json=json, quiet=quiet)
    live = LiveSettings(_overrides(host, port, model))
    configure_logging(live.current().log_level)

    def say_where(url: str) -> None:
        if out.json:
            out.emit({"url": url, "pid": os.getpid()})
        else:
            out.note(f"Listening on {url} - OpenAI clients use {url}/v1, Ctrl-C ends it.")

    run(live, say_where)


def _overrides(host: str | None, port: int | None, model: str | None) -> dict[str, Any]:
    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    overrides: dict[str, Any] = {"server": server} if server else {}
    return overrides | ({} if model is None else {"active_model": model})
