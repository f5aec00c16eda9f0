"""``smallsight models embedding``: lists the models by which pictures are found without being described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import get_output

if TYPE_CHECKING:
    from smallsight.inventory.embedding_models import PictureModelStatus


def embedding(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """List the picture embedding models: licence, memory, files."""
    from rich.text import Text

    from smallsight.cli.table import Column, ListRow, print_table
    from smallsight.cli.units import count_text, memory_text
    from smallsight.inventory.embedding_models import list_picture_models
    from smallsight.settings import load_settings

    out = get_output(json=json, quiet=quiet)
    statuses = list_picture_models(load_settings())
    if out.json:
        out.emit({"models": [_as_json(status) for status in statuses]})
        return
    rows = []
    for status in statuses:
        precision, num_bytes = next(iter(status.memory_bytes.items()))
        is_here = status.files is not None
        cells = (
            Text(status.entry.name, style="bold"),
            count_text(status.parameters),
            f"{memory_text(num_bytes)} {precision.value}",
            status.entry.licence.spdx,
            Text("here" if is_here else "none", style="green" if is_here else "dim"),
        )
        rows.append(ListRow(cells, status.entry.summary))
    columns = Column("Model"), Column("Size", is_number=True), Column("Memory", is_number=True)
    print_table(out, (*columns, Column("Licence"), Column("Files")), rows)
    out.note("Memory is estimated for both networks and the program; the table of words stays on disk.")


def _as_json(status: PictureModelStatus) -> dict[str, Any]:
    entry = status.entry
    return {
        "name": entry.name,
        "family": entry.family,
        "summary": entry.summary,
        "licence": entry.licence.spdx,
        "repository": entry.repository,
        "parameters": status.parameters,
        "table_bytes": status.table_bytes,
        "memory_bytes": {precision.value: size for precision, size in status.memory_bytes.items()},
        "directory": None if status.files is None else str(status.files.directory),
    }
