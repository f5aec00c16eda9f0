"""The page of a server without pictures: a folder, or the example pictures, in one click."""

from __future__ import annotations

from typing import Any

from smallsight.catalog.text_model import find_text_model
from smallsight.reading.text_reader import is_reading_available
from smallsight.services.example_pictures import has_examples
from smallsight.web.folder_pages import folder_roots
from smallsight.web.parts import WebParts


def welcome_values(parts: WebParts) -> dict[str, Any]:
    """Return what the page offers, and what this installation can do."""
    settings = parts.serving.live.current()
    roots = folder_roots(parts)
    suggested = [(path, roots.count(path)) for path in roots.suggestions()]
    return {
        "suggested": [(path, count) for path, count in suggested if count.number or count.has_more],
        "has_examples": has_examples(),
        "reads_text": is_reading_available() and settings.index.ocr,
        "knows_meaning": find_text_model(settings) is not None,
        "now": parts.keeper.snapshot(),
    }
