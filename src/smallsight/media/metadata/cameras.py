"""Names a camera from its maker and model, without saying the maker twice."""

from __future__ import annotations

import re

__all__ = ["MAX_CAMERA_CHARS", "camera_name"]

MAX_CAMERA_CHARS = 100
# What makers add to their names.
_LEGAL_FORM = re.compile(
    r"(?:[\s,.]+(?:corporation|corp|company|co|ltd|inc|ag|gmbh|llc|imaging|optical|electronics|camera|cameras"
    r"|techwin|digital|mobile|communications|computer|technologies|technology|tech))+[\s,.]*$",
    re.IGNORECASE,
)
_OTHER_NAMES = {"hewlett-packard": "hp", "eastman": "kodak", "asahi": "pentax"}


def camera_name(make: str, model: str) -> str | None:
    """Return the name of a camera from the clean texts of both fields; None if both are empty."""
    maker = _LEGAL_FORM.sub("", make).strip(" ,.") or make
    words = [word.casefold() for word in maker.split()]
    names = {*words, *(_OTHER_NAMES[word] for word in words if word in _OTHER_NAMES)}
    first = model.split(maxsplit=1)[0].casefold() if model else ""
    if model and (
        first in names or first.partition("-")[0] in names or model.casefold().startswith(maker.casefold())
    ):
        return _cut(model)
    return _cut(f"{maker} {model}")


def _cut(name: str) -> str | None:
    return name[:MAX_CAMERA_CHARS].strip() or None
