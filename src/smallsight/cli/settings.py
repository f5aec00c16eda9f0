"""``smallsight settings``: what is in force, and where it comes from."""

from __future__ import annotations

import json as jsonlib
import sys
from dataclasses import asdict

from smallsight.cli.output import JsonFlag, QuietFlag, get_output


def settings(json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Show every setting with its value and where that comes from: default, file or environment."""
    from smallsight.services.effective_settings import effective_settings

    out = get_output(json=json, quiet=quiet)
    found = effective_settings()
    if out.json:
        out.emit([asdict(one) for one in found])
        return
    for one in found:
        sys.stdout.write(f"{one.name}\t{jsonlib.dumps(one.value, ensure_ascii=False)}\t{one.origin}\n")
