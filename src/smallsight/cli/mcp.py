"""``smallsight mcp``: serves the library to an agent over the Model Context Protocol."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from smallsight.cli.completion import model_names
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output


def mcp(
    write: Annotated[
        bool, typer.Option("--write", help="Let the agent add and remove tags; without it, it only reads.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model that answers when none is named.", autocompletion=model_names),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Let an agent search and question the library, over MCP.

    It is spoken on standard input and output.
    """
    out = get_output(json=json, quiet=quiet)
    from smallsight.mcp.package import require_package

    require_package()
    from smallsight.mcp.stdio import serve_stdio
    from smallsight.services.live_settings import LiveSettings
    from smallsight.services.logs import configure_logging

    live = LiveSettings({} if model is None else {"active_model": model})
    settings = live.current()
    configure_logging(settings.log_level, settings.log_format)
    if model is not None:
        from smallsight.inventory.names import FOR_CLIENTS, Names

        Names().resolve(model, FOR_CLIENTS, settings)  # raises for a name that nothing has
    if sys.stdin.isatty():
        out.note(
            "Waiting for an MCP client on standard input, which starts this command itself. Ctrl-D stops."
        )
    serve_stdio(live, may_edit=write)
