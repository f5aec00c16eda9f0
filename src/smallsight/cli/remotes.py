"""How ``smallsight models`` shows models on other servers: as a table, as rows, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from smallsight.cli.table import Column, ListRow, print_table
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.cli.output import Output
    from smallsight.remote_settings import RemoteSettings


def remote_as_json(name: str, remote: RemoteSettings) -> dict[str, str | None]:
    """Return the documented JSON object; it does not contain the server's key."""
    return {
        "name": name,
        "base_url": remote.base_url,
        "model": remote.model or name,
        "fallback": remote.fallback,
    }


def print_remotes(out: Output, remotes: Mapping[str, RemoteSettings]) -> None:
    """Print them as a list, sorted by name."""
    columns = (Column("On other servers"), Column("Address"), Column("Fallback"))
    rows = [
        ListRow((Text(on_one_line(name), style="bold"), remote.base_url, remote.fallback or "none"))
        for name, remote in sorted(remotes.items())
    ]
    print_table(out, columns, rows)


def remote_details(name: str, remote: RemoteSettings) -> list[tuple[str, str | Text]]:
    """Return the settings of one by their names; of its key only the variable's name."""
    return [
        ("Model", Text(on_one_line(name), style="bold")),
        ("Address", remote.base_url),
        ("Model there", remote.model or name),
        ("Key", f"in {remote.api_key_env or remote.api_key_file}" if remote.key_source else "none"),
        ("Fallback", remote.fallback or "none"),
    ]
