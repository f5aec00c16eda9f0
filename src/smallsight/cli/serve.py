"""``smallsight serve``: serves models over OpenAI's protocol until it is stopped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from smallsight.cli.completion import model_names
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.opening import open_address
from smallsight.cli.output import Output, get_output
from smallsight.cli.settings import show_settings
from smallsight.machine.matrix_threads import use_one_matrix_thread

_HostOption = Annotated[
    str | None, typer.Option("--host", help="Address to listen on; default: server.host.")
]
_PortOption = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
]
_ServedModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Model for requests that name none; loaded at start-up.",
        autocompletion=model_names,
    ),
]
_WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=64, help="Processes that answer pages; default: server.workers.", metavar="N"
    ),
]
_LogFormatOption = Annotated[
    Literal["text", "json"] | None,
    typer.Option("--log-format", help="Text, or JSON with one object per line for log collectors."),
]
_DemoOption = Annotated[bool, typer.Option("--demo", help="Serve the library of `smallsight demo`.")]
_PicturesOption = Annotated[
    Path | None, typer.Option("--pictures", help="With --demo: the folder that `smallsight demo` was given.")
]


def serve(
    host: _HostOption = None,
    port: _PortOption = None,
    model: _ServedModelOption = None,
    workers: _WorkersOption = None,
    log_format: _LogFormatOption = None,
    demo: _DemoOption = False,
    pictures: _PicturesOption = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the web app in the browser once the server listens.")
    ] = False,
    print_settings: Annotated[
        bool, typer.Option("--print-settings", help="Print the settings the server would use, and exit.")
    ] = False,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show your pictures in the browser, and answer API requests.

    The pages are below /app/. Answers are in the protocols of OpenAI, Ollama and Anthropic.
    """
    out = get_output(json=json, quiet=quiet)
    flags = _flags({"host": host, "port": port, "workers": workers}, model, log_format)
    if demo or pictures is not None:
        from smallsight.cli.demonstration import demo_home

        flags["home"] = demo_home(pictures)
    if print_settings:
        show_settings(out, flags)
        return
    use_one_matrix_thread()
    from smallsight.cli.doubtful_model import check_verdict
    from smallsight.inventory.names import FOR_CLIENTS, Names
    from smallsight.serve.process import serve as run
    from smallsight.services.live_settings import LiveSettings
    from smallsight.services.logs import configure_logging

    live = LiveSettings(flags)
    settings = live.current()
    configure_logging(settings.log_level, settings.log_format)
    if model is not None:
        model = Names().resolve(model, FOR_CLIENTS, settings).name  # raises for a name that nothing has
    check_verdict(out, model or settings.active_model or "", settings, asks=model is not None)

    run(live, lambda url: _announce(out, url, opens=open_browser))


def _announce(out: Output, url: str, *, opens: bool) -> None:
    """Print where the server listens, and open the web app where that is wanted."""
    if out.json:
        out.emit({"url": url, "pid": os.getpid()})
    else:
        out.note(f"Your pictures: {url}/app/ - OpenAI clients use {url}/v1, Ctrl-C stops the server.")
    if opens:
        open_address(f"{url}/app/")


def _flags(
    given: Mapping[str, int | str | None], model: str | None, log_format: str | None
) -> dict[str, Any]:
    """Return the given flags by the names of their settings."""
    server = {name: value for name, value in given.items() if value is not None}
    flags: dict[str, Any] = {"server": server} if server else {}
    others = {"active_model": model, "log_format": log_format}
    return flags | {name: value for name, value in others.items() if value is not None}
