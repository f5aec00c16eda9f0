"""What one example picture is, and how it becomes a file in the format that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from PIL import Image

Drawing = Image.Image | list[Image.Image]


class Kind(Enum):
    """What a person would call the picture."""

    MEME = "meme"
    SCREENSHOT = "screenshot"
    PHOTO = "photo-like"


class Storage(Enum):
    """What is special about how the pixels are stored."""

    PLAIN = "plain"
    FEW_COLOURS = "few colours"
    SIDEWAYS = "sideways"
    CMYK = "CMYK"


@dataclass(frozen=True)
class Picture:
    """One example picture.

    ``file`` is relative to the folder of pictures, its suffix names the format; ``text`` holds the lines a
    reader should find; ``hard`` marks text that OCR is not expected to read.
    """

    file: str
    draw: Callable[[], Drawing]
    kind: Kind
    shows: str
    colours: tuple[str, ...]
    text: tuple[str, ...] = ()
    notes: str = ""
    storage: Storage = Storage.PLAIN
    quality: int = 82
    hard: bool = False


def write_picture(picture: Picture, folder: Path) -> Path:
    """Draw a picture, write its file under a folder, and return where it is."""
    path = folder / picture.file
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing = picture.draw()
    if isinstance(drawing, list):
        _write_animation(drawing, path)
    else:
        _write_image(drawing, path, picture)
    return path


def _write_image(image: Image.Image, path: Path, picture: Picture) -> None:
    match path.suffix.lower():
        case ".jpg" | ".jpeg":
            _write_jpeg(image, path, picture)
        case ".png":
            if picture.storage is Storage.FEW_COLOURS and image.mode == "RGB":
                image = image.quantize(
                    256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG
                )
            image.save(path, "PNG", optimize=True)
        case ".webp":
            image.save(path, "WEBP", quality=picture.quality, method=6)
        case ".avif":
            image.save(path, "AVIF", quality=picture.quality, speed=4, max_threads=1)
        case ".tif":
            image.save(path, "TIFF", compression="tiff_lzw", dpi=(200, 200))
        case _:
            image.save(path)


def _write_jpeg(image: Image.Image, path: Path, picture: Picture) -> None:
    exif = Image.Exif()
    if picture.storage is Storage.SIDEWAYS:
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6  # orientation: turn the stored pixels a quarter clockwise to see the picture
    if picture.storage is Storage.CMYK:
        image = image.convert("CMYK")
    image.save(path, "JPEG", quality=picture.quality, optimize=True, progressive=True, exif=exif)


def _write_animation(frames: list[Image.Image], path: Path) -> None:
    palette = frames[0].quantize(64, dither=Image.Dither.NONE)
    few = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    few[0].save(path, "GIF", save_all=True, append_images=few[1:], duration=280, loop=0, optimize=True)
