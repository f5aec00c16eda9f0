"""``smallsight keys``: lists, creates and removes the server's keys."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallsight.cli.completion import key_names
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output
from smallsight.errors import SettingsError

if TYPE_CHECKING:
    from smallsight.http.api_keys import ApiKey, ApiKeys

app = typer.Typer(help="List, create and remove the server's keys.", invoke_without_command=True)

KnownKey = Annotated[
    str, typer.Argument(help="A key's name, as `smallsight keys` lists it.", autocompletion=key_names)
]
KeyName = Annotated[str, typer.Argument(help="A name for the key, such as its user.")]


@app.callback()
def keys(context: typer.Context, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List, create and remove the server's keys."""
    output = get_output(json=json, quiet=quiet)
    if context.invoked_subcommand is None:
        list_keys(json=output.json, quiet=output.quiet)


@app.command("list")
def list_keys(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the names and scopes of the keys. The keys themselves are not stored."""
    output = get_output(json=json, quiet=quiet)
    known = _keys().all()
    if output.json:
        output.emit([_as_data(key) for key in known])
        return
    from smallsight.cli.table import Column, ListRow, print_table

    columns = (Column("Key"), Column("Allows"), Column("Created"))
    print_table(
        output, columns, [ListRow((key.name, ", ".join(sorted(key.scopes)), _date(key))) for key in known]
    )
    if not known:
        output.note("There are no keys: the server answers any client on this machine, and no others.")


@app.command()
def add(
    name: KeyName,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="What it allows: use (ask models, read the library), monitor (health, metrics), "
            "edit (change words and tags), pages (log in to the web app, where use and edit count too); "
            "default: use and monitor.",
        ),
    ] = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Create a key and print it; it is not shown again."""
    from smallsight.http.api_keys import DEFAULT_SCOPES, Scope

    output = get_output(json=json, quiet=quiet)
    try:
        scopes = frozenset(map(Scope, scope)) if scope else DEFAULT_SCOPES
    except ValueError as error:
        unknown = next(one for one in scope or () if one not in set(Scope))
        raise SettingsError(f"--scope cannot be {unknown!r}.", hint=f"use {', '.join(Scope)}.") from error
    key = _keys().add(name, scopes)
    if output.json:
        output.emit({"name": name, "scopes": sorted(scopes), "key": key})
        return
    sys.stdout.write(f"{key}\n")
    output.note("Save it: it is not shown again. From now on the server requires a key.")


@app.command("rm", hidden=True)
@app.command()
def remove(name: KnownKey, json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Remove a key; a running server rejects it at once."""
    output = get_output(json=json, quiet=quiet)
    _keys().remove(name)
    if output.json:
        output.emit({"removed": name})
    else:
        output.note(f"Removed {name}.")


def _keys() -> ApiKeys:
    from smallsight.http.api_keys import ApiKeys
    from smallsight.settings import load_settings

    return ApiKeys(load_settings().api_keys_path)


def _as_data(key: ApiKey) -> dict[str, Any]:
    return {"name": key.name, "scopes": sorted(key.scopes), "created_s": key.created_s}


def _date(key: ApiKey) -> str:
    return datetime.fromtimestamp(key.created_s, UTC).strftime("%Y-%m-%d")
