"""How ``smallsight models`` shows models on other servers: as a table, as rows, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from smallsight.remote_settings import RemoteSettings


def remote_as_json(name: str, remote: RemoteSettings) -> dict[str, str | None]:
    """Return the documented JSON object; it does not contain the server's key."""
    return {
        "name": name,
        "base_url": remote.base_url,
        "model": remote.model or name,
        "fallback": remote.fallback,
    }


def remotes_table(remotes: Mapping[str, RemoteSettings]) -> Table:
    """Return a table of them, sorted by name; long cells are folded, never truncated."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for title in ("On other servers", "Address", "Fallback"):
        table.add_column(title, overflow="fold")
    for name, remote in sorted(remotes.items()):
        cells = (
            Text(name, style="bold"),
            Text(remote.base_url),
            Text(remote.fallback or "none", style="dim"),
        )
        table.add_row(*cells)
    return table


def remote_details(name: str, remote: RemoteSettings) -> Table:
    """Return the settings of one as a table; of its key only the variable's name."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows = [("Model", name), ("Address", remote.base_url), ("Model there", remote.model or name)]
    rows += [("Key", f"in {remote.api_key_env}" if remote.api_key_env else "none")]
    rows += [("Fallback", remote.fallback or "none")]
    for label, value in rows:
        table.add_row(label, Text(value, style="bold" if label == "Model" else ""))
    return table
