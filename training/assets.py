"""Fonts and words from Debian packages, unpacked into a folder without installing anything.

Run: python -m training.assets     (needs apt-get and dpkg; once)
"""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from PIL import ImageFont

FOLDER = Path(__file__).parent / "assets"
PACKAGES = (
    "fonts-adf-gillius fonts-adf-universalis fonts-averia-sans-gwf fonts-bebas-neue fonts-beteckna "
    "fonts-cabin fonts-cantarell fonts-comfortaa fonts-comic-neue fonts-crosextra-caladea "
    "fonts-crosextra-carlito fonts-dejavu-core fonts-dosis fonts-firacode fonts-freefont-ttf "
    "fonts-humor-sans fonts-inter fonts-jura fonts-karla fonts-lato fonts-league-spartan "
    "fonts-liberation fonts-noto-color-emoji fonts-open-sans fonts-opendyslexic fonts-oxygen "
    "fonts-play fonts-quicksand fonts-roboto-unhinted fonts-rufscript fonts-sil-andika "
    "fonts-sil-gentium-basic fonts-sjfonts fonts-smc-karumbi fonts-smc-manjari fonts-staypuft "
    "fonts-symbola fonts-tomsontalks fonts-tuffy fonts-urw-base35 fonts-yanone-kaffeesatz wamerican"
).split()
TEXT_FONTS = {
    "train": (
        "Andika-Bold.ttf AveriaSansGWF-Bold.ttf BebasNeue-Regular.otf BetecknaGS-Bold.ttf Cabin-Bold.otf "
        "Caladea-Bold.ttf Cantarell-Bold.otf Carlito-Bold.ttf Carlito-Regular.ttf Comfortaa-Bold.ttf "
        "ComicNeue-Bold.otf DejaVuSans-Bold.ttf DejaVuSans.ttf DejaVuSansMono-Bold.ttf "
        "DejaVuSerif-Bold.ttf Delphine.ttf Dosis-Bold.otf FiraCode-Bold.ttf FreeSansBold.ttf "
        "FreeSerifBold.ttf GilliusADF-BoldCond.otf Humor-Sans.ttf Inter-Bold.otf Jura-Bold.otf "
        "Karla-Bold.otf Karumbi-Regular.ttf Lato-Black.ttf Lato-Bold.ttf Lato-Regular.ttf "
        "LeagueSpartan-Bold.otf LiberationMono-Bold.ttf LiberationSans-Bold.ttf LiberationSans-Regular.ttf "
        "LiberationSansNarrow-Bold.ttf LiberationSerif-Bold.ttf Manjari-Bold.otf NimbusSansNarrow-Bold.otf "
        "OpenDyslexic-Bold.otf OpenSans-Bold.ttf OpenSans-Regular.ttf Quicksand-Bold.ttf Roboto-Black.ttf "
        "Roboto-Bold.ttf Roboto-Regular.ttf RobotoCondensed-Bold.ttf Rufscript010.ttf StayPuft.ttf "
        "SteveHand.ttf tuffy_bold.ttf UniversalisADFStd-BoldCond.otf URWBookman-Demi.otf "
        "URWGothic-Demi.otf YanoneKaffeesatz-Bold.otf"
    ).split(),
    "test": "GenBasB.ttf Oxygen-Sans-Bold.ttf Play-Bold.ttf C059-Bold.otf TomsonTalks.ttf".split(),
}
HAND_DRAWN = (
    "ComicNeue-Bold.otf Delphine.ttf Humor-Sans.ttf Karumbi-Regular.ttf Rufscript010.ttf StayPuft.ttf "
    "SteveHand.ttf"
).split()
CAPITALS_ONLY = ("BebasNeue-Regular.otf", "Humor-Sans.ttf", "TomsonTalks.ttf")  # small letters look like them
LACKING = {"TomsonTalks.ttf": "&#@$+"}  # drawn as boxes, which nobody could read
EMOJI, SYMBOLS = "NotoColorEmoji.ttf", "Symbola_hint.ttf"
EMOJI_PX = 109  # the one size its pictures come in


def fetch() -> None:
    """Download the packages and unpack them into the folder."""
    downloads = FOLDER / "packages"
    downloads.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        if not list(downloads.glob(f"{name}_*.deb")):
            _run(["apt-get", "download", name], downloads)
    for package in sorted(downloads.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(FOLDER)], downloads)


def _run(command: list[str], folder: Path) -> None:
    """Run one of Debian's tools, or end with a sentence."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(f"Fonts for training were not fetched: there is no {command[0]} here.") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SystemExit(f"Fonts for training were not fetched: {' '.join(command)}: {reason}")


@cache
def _font_paths() -> dict[str, Path]:
    root = FOLDER / "usr" / "share" / "fonts"
    if not root.is_dir():
        raise SystemExit("The fonts are missing: run python -m training.assets first.")
    return {path.name: path for path in sorted(root.rglob("*.[ot]tf"))}


@cache
def font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """Return a font by its file name."""
    return ImageFont.truetype(str(_font_paths()[name]), size_px, layout_engine=ImageFont.Layout.BASIC)


@cache
def dictionary() -> tuple[str, ...]:
    """Return the plain lower-case words of two to ten letters."""
    text = (FOLDER / "usr" / "share" / "dict" / "american-english").read_text("utf-8")
    words = (word for word in text.split() if word.isascii() and word.isalpha() and word.islower())
    return tuple(word for word in words if 2 <= len(word) <= 10)


if __name__ == "__main__":
    fetch()
