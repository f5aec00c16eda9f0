"""Recognises what cameras and programs write into caption fields by themselves."""

from __future__ import annotations

import re
from functools import cache

__all__ = ["is_camera_text"]

_DEFAULTS = frozenset(
    text.strip()
    for text in """
    olympus digital camera|olympus camera|sony dsc|minolta digital camera|konica minolta digital camera
    kodak digital still camera|samsung digital camera|samsung camera pictures|digital camera|digital image
    pentax digital camera|casio computer co.,ltd.|exif_jpeg_picture|exif jpeg|jpeg|maginon|dig|camera
    ascii|unicode|jis|default|defaults|untitled|untitled image|image|picture|photo|screenshot|screen shot
    captured by snagit|created with gimp|created with the gimp|created with inkscape|applemark|user comments
    user comment|description|image description|no description|title|comment|none|null|n/a|dji image|dji camera
    cof|dav|edf|ptr|sdr|hdr|hdrpl|mde|burst|bestshot|fsh|binary comment|intel(r) jpeg library|handycam
    """.replace("\n", "|").split("|")
)
_PATTERNS = (
    r"[\x00-/:-@\[-`{-\x7f]*",  # ASCII without a letter or digit
    r"(?:[a-z]:)?[\\/]?dcim[\\/].*",  # the camera's path of the file
    r"[\w .()~-]{1,80}\.(?:jpe?g|png|gif|webp|tiff?|bmp|hei[cf]|avif|dng|mp4|mov)",  # a file name
    r"(?:img|dsc|dscn|dscf|dscim|pxl|mvimg|imag|pict|screenshot|vid)[-_ ]?[\d_.-]{3,40}",
    r"creator: gd-jpeg v.*|lead technologies inc.*|optimized by jpegmini.*|processed with vscocam.*",
    r"(?:oplus|oppo)_\d+|(?:asciioppo|oppo|vivo)\w{0,8}",
    r"\{.*\}|<\?xpacket.*|<x:xmpmeta.*",  # settings of phones, as JSON or XML
    r".*\bsteps: \d+, sampler: .*",  # parameters of an image generator
)


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Return the compiled patterns; the processes that only search never need them."""
    return tuple(re.compile(one, re.IGNORECASE | re.DOTALL) for one in _PATTERNS)


def is_camera_text(text: str) -> bool:
    """Return whether no person wrote this caption: a default, a file name, a program's settings."""
    stripped = text.strip()
    return stripped.casefold().strip(" .<>[]") in _DEFAULTS or any(
        pattern.fullmatch(stripped) for pattern in _patterns()
    )
