"""``smallsight serve``: serves models over OpenAI's protocol until it is stopped."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

import typer

from smallsight.cli.completion import model_names
from smallsight.cli.output import JsonFlag, QuietFlag, get_output
from smallsight.cli.settings import show_settings


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; default: server.host.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Model for requests that name none; loaded at start-up.",
            autocompletion=model_names,
        ),
    ] = None,
    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option("--log-format", help="Text, or JSON with one object per line for log collectors."),
    ] = None,
    print_settings: Annotated[
        bool, typer.Option("--print-settings", help="Print the settings the server would use, and exit.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Answer questions about pictures over HTTP, as OpenAI's API does."""
    out = get_output(json=json, quiet=quiet)
    flags = _flags(host, port, model, log_format)
    if print_settings:
        show_settings(out, flags)
        return
    from smallsight.inventory.names import FOR_CLIENTS, Names
    from smallsight.serve.process import serve as run
    from smallsight.services.live_settings import LiveSettings
    from smallsight.services.logs import configure_logging

    live = LiveSettings(flags)
    settings = live.current()
    configure_logging(settings.log_level, settings.log_format)
    if model is not None:
        Names().resolve(model, FOR_CLIENTS, settings)  # raises for a name that nothing has

    def print_url(url: str) -> None:
        if out.json:
            out.emit({"url": url, "pid": os.getpid()})
        else:
            out.note(f"Listening on {url} - OpenAI clients use {url}/v1, Ctrl-C stops it.")

    run(live, print_url)


def _flags(host: str | None, port: int | None, model: str | None, log_format: str | None) -> dict[str, Any]:
    """Return the given flags by the names of their settings."""
    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    flags: dict[str, Any] = {"server": server} if server else {}
    others = {"active_model": model, "log_format": log_format}
    return flags | {name: value for name, value in others.items() if value is not None}
