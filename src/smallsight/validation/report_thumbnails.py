"""Makes the thumbnails of a report in the sandbox, small enough that a report stays a file one can send."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from smallsight.errors import PictureError
from smallsight.media.decoder import PictureDecoder
from smallsight.media.files import read_picture_file
from smallsight.settings import Limits

SIDE_PX = 256


def make_thumbnails(folder: Path, pictures: Iterable[str], limits: Limits) -> dict[str, bytes]:
    """Return a WebP thumbnail for each path below the folder; a picture that cannot be decoded has none."""
    made: dict[str, bytes] = {}
    with PictureDecoder(limits) as decoder:
        for name in pictures:
            try:
                data = read_picture_file(folder / name, limits, inside=folder)
                decoded = decoder.decode(data, thumbnail_side_px=SIDE_PX)
            except PictureError:  # the result says why, if it matters
                continue
            if decoded.thumbnail_webp is not None:
                made[name] = decoded.thumbnail_webp
    return made
