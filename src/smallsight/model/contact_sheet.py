"""Draws the frames that a model gets of a video as one image, each with its time."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFont

from smallsight.families.messages import Video
from smallsight.media.pixels import fit_within

__all__ = ["contact_sheet"]

_CELL_PX = 256
_LABEL_PX = 22
_GAP_PX = 6
_TEXT_PX = 15


def contact_sheet(video: Video) -> Image.Image:
    """Draw the frames in reading order, RGB; they keep the proportions that the model gets."""
    images = [fit_within(Image.fromarray(frame.pixels_HWC), _CELL_PX) for frame in video.frames]
    num_columns = math.ceil(math.sqrt(len(images)))
    cell_width = max(image.width for image in images) + _GAP_PX
    cell_height = max(image.height for image in images) + _LABEL_PX + _GAP_PX
    num_rows = math.ceil(len(images) / num_columns)
    sheet = Image.new("RGB", (num_columns * cell_width + _GAP_PX, num_rows * cell_height + _GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT_PX)
    for index, (frame, image) in enumerate(zip(video.frames, images, strict=True)):
        row, column = divmod(index, num_columns)
        left, top = column * cell_width + _GAP_PX, row * cell_height + _GAP_PX
        draw.text((left, top), _clock(frame.time_s), fill="black", font=font)
        sheet.paste(image, (left, top + _LABEL_PX))
    return sheet


def _clock(time_s: float) -> str:
    """Return a time as in the model's prompt, plus tenths of a second."""
    minutes, seconds = divmod(time_s, 60)
    return f"{int(minutes):02d}:{math.floor(seconds * 10) / 10:04.1f}"
