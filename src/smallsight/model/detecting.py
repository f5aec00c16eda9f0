"""Starts detections of named things, for families that support them."""

from __future__ import annotations

from PIL import Image

from smallsight.engine.decoding.place_detector import PlaceKind, Wanted
from smallsight.engine.engine import Engine
from smallsight.engine.generation import Generation
from smallsight.errors import ArgumentError
from smallsight.errors.argument_types import require_text
from smallsight.families.messages import Detail
from smallsight.families.registry import titles_that

__all__ = ["start_detecting"]


def start_detecting(
    engine: Engine, name: str, kind: PlaceKind, image: Image.Image, what: str, max_places: int, detail: Detail
) -> Generation:
    """Start a detection on the engine of the model ``name``; raises ArgumentError if it is not supported."""
    if not engine.capabilities.detects_places:
        raise ArgumentError(
            f"{name} does not support detection by name.",
            hint=f"load {titles_that(lambda can: can.detects_places)} to {kind}.",
        )
    if not require_text("what", what).strip():
        raise ArgumentError(f"No object given to {kind}.", hint='name a thing, such as "car".')
    return engine.detect(image, detail, Wanted(kind, what.strip(), image.size, _whole(max_places)))


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"max_places cannot be {value!r}.", hint="use an integer above 0.")
    return value
