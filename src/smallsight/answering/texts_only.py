"""Refuses pictures where only texts are embedded, in whatever way a client sends one."""

from __future__ import annotations

from smallsight.errors import BadRequestError

_KEYS = frozenset({"image", "images", "image_url", "input_image", "bytes", "multimodal_data"})
_PREFIX = "data:image/"
_IN_BASE64 = ("/9j/", "iVBORw0KGgo", "UklGR", "R0lGOD")  # JPEG, PNG, WebP and GIF
_LEAST_CHARS = 64  # of a picture in base64


def require_texts(given: object, param: str) -> None:
    """Raise BadRequestError if a value is a picture: a data: URL, base64, or an object with one."""
    values = given if isinstance(given, list) else [given]
    if any(_is_picture(one) for one in values):
        raise picture_refused(param)


def picture_refused(param: str) -> BadRequestError:
    """Return the error for a picture in a field."""
    return BadRequestError(
        f"{param} has a picture, but only texts are embedded here.",
        hint="name a picture embedding model at /v1/embeddings, or embed a description of the picture.",
        param=param,
    )


def _is_picture(value: object) -> bool:
    if isinstance(value, str):
        is_base64 = value.startswith(_IN_BASE64) and len(value) >= _LEAST_CHARS and " " not in value
        return is_base64 or value[: len(_PREFIX)].lower() == _PREFIX
    return isinstance(value, dict) and (not _KEYS.isdisjoint(value) or value.get("type") in _KEYS)
