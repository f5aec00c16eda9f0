"""Texts on pages that are data of the package: what the catalogue and the settings say about themselves.

Pages translate them like texts that are written in templates; the check of translations asks here for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Verdict
from smallsight.services.setting_fields import setting_field
from smallsight.web.settings_pages import GROUPS


def data_texts() -> set[str]:
    """Return all of them, in English."""
    return {text for text in _texts() if text}


def _texts() -> Iterator[str]:
    for entry in load_catalog().entries:
        yield from (entry.good_at, entry.hardware, *entry.badges)
    yield from (one.value for one in Verdict if one is not Verdict.NOT_MEASURED)
    for names in GROUPS.values():
        yield from (setting_field(name).description for name in names)
