"""Finds the free fonts that the example pictures are lettered with, by family and style, through fontconfig.

The drawn files are kept with the project, so only somebody who redraws them needs these fonts.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

from PIL import ImageFont


@dataclass(frozen=True)
class Face:
    """One font file, by the names fontconfig knows it by, and the Debian package that brings it."""

    family: str
    style: str
    package: str


FACES = {
    "impact": Face("Inter Display", "Black", "fonts-inter"),
    "ui": Face("Inter", "Regular", "fonts-inter"),
    "ui-medium": Face("Inter", "Medium", "fonts-inter"),
    "ui-bold": Face("Inter", "Bold", "fonts-inter"),
    "ui-light": Face("Inter", "Light", "fonts-inter"),
    "sans": Face("Open Sans", "Regular", "fonts-open-sans"),
    "sans-bold": Face("Open Sans", "Bold", "fonts-open-sans"),
    "round": Face("League Spartan", "Bold", "fonts-league-spartan"),
    "comic": Face("Comic Neue", "Bold", "fonts-comic-neue"),
    "serif": Face("EB Garamond", "12 Regular", "fonts-ebgaramond"),
    "serif-bold": Face("EB Garamond", "12 Bold", "fonts-ebgaramond"),
    "mono": Face("JetBrains Mono", "Regular", "fonts-jetbrains-mono"),
    "till": Face("Liberation Mono", "Regular", "fonts-liberation"),
    "till-bold": Face("Liberation Mono", "Bold", "fonts-liberation"),
    "hand": Face("femkeklaver", "Regular", "fonts-femkeklaver"),
    "script": Face("Dancing Script", "Bold", "fonts-dancingscript"),
    "brush": Face("Lobster Two", "Bold Italic", "fonts-lobster"),
    "chinese": Face("WenQuanYi Micro Hei", "Regular", "fonts-wqy-microhei"),
}


@cache
def _installed() -> dict[tuple[str, str], str]:
    """Return the file of each (family, style) that fontconfig lists; empty without fontconfig."""
    fc_list = shutil.which("fc-list")
    if fc_list is None:
        return {}
    listing = subprocess.run(
        [fc_list, "--format=%{family}\t%{style}\t%{file}\n"], capture_output=True, text=True, check=True
    )
    found: dict[tuple[str, str], str] = {}
    for line in sorted(listing.stdout.splitlines()):
        families, styles, file = line.split("\t")
        for family in families.split(","):
            for style in styles.split(","):
                found.setdefault((family, style), file)
    return found


def missing_packages() -> list[str]:
    """Return the Debian packages that would bring the faces absent from this machine."""
    found = _installed()
    absent = {face.package for face in FACES.values() if (face.family, face.style) not in found}
    return ["fontconfig", *sorted(absent)] if absent and not found else sorted(absent)


@cache
def load_font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """Return the face called ``name`` in ``FACES`` at a size; KeyError where it is not installed."""
    face = FACES[name]
    return ImageFont.truetype(_installed()[face.family, face.style], size_px)
