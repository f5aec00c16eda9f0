"""``smallsight settings``: the settings in force and their sources."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output


def settings(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show every setting with its value and its source.

    The source is the default, the file or the environment.
    """
    show_settings(get_output(json=json, quiet=quiet))


def show_settings(out: Output, flags: Mapping[str, Any] | None = None) -> None:
    """Print every setting, with the values that a command's flags set."""
    from smallsight.cli.table import Column, ListRow, print_table
    from smallsight.services.effective_settings import effective_settings

    effective = effective_settings(flags)
    if out.json:
        out.emit([asdict(one) for one in effective])
        return
    columns = (Column("Setting"), Column("From"), Column("Value"))  # a value may be very long
    print_table(out, columns, [ListRow((one.name, one.origin, _as_text(one.value))) for one in effective])


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
