"""Refuses pictures where only texts are embedded, in whatever way a client sends one."""

from __future__ import annotations

from smallsight.errors import BadRequestError

_KEYS = frozenset({"image", "images", "image_url", "input_image", "bytes"})
_PREFIX = "data:image/"


def require_texts(given: object, param: str) -> None:
    """Raise BadRequestError if one of the given values is a picture: a data: URL, or an object with one."""
    values = given if isinstance(given, list) else [given]
    if any(_is_picture(one) for one in values):
        raise picture_refused(param)


def picture_refused(param: str) -> BadRequestError:
    """Return the error for a picture in a field."""
    return BadRequestError(
        f"{param} has a picture, but only texts are embedded here.",
        hint="ask a model to describe the picture, and embed the description.",
        param=param,
    )


def _is_picture(value: object) -> bool:
    if isinstance(value, str):
        return value[: len(_PREFIX)].lower() == _PREFIX
    return isinstance(value, dict) and (not _KEYS.isdisjoint(value) or value.get("type") in _KEYS)
