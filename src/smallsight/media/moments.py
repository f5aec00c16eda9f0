"""Chooses a few frames of a video or an animation: a still that stands for it, and moments over its length.

Frames are decoded in the child of a ``VideoReader``, one at a time.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from smallsight.errors import CorruptPictureError, DecoderFailedError, PictureError
from smallsight.media.frame_choice import contrast, differs, miniature, shows_something
from smallsight.media.pixels import fit_within
from smallsight.media.reading_size import MAX_FRAMES_READ
from smallsight.media.video import VideoFacts, VideoReader

__all__ = ["MAX_MOMENTS", "Moment", "as_tiff", "different_frames", "moments_s", "readable_frames", "still_of"]

MAX_MOMENTS = 16
_MOMENTS_PER_S = 2
_MIN_MOMENTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """The frame that a player shows at a time, uint8 RGB [height, width, 3]."""

    time_s: float
    pixels_HWC: npt.NDArray[np.uint8]


def moments_s(facts: VideoFacts) -> list[float]:
    """Return at most 16 times, ascending: the middles of equal parts, at most one for each frame."""
    num_parts = math.ceil(_MOMENTS_PER_S * facts.duration_s)
    num_parts = min(max(num_parts, _MIN_MOMENTS), MAX_MOMENTS)
    by_frame: dict[int, float] = {}
    for part in range(num_parts):
        middle_s = (part + 0.5) * facts.duration_s / num_parts
        by_frame.setdefault(facts.frame_at(middle_s), middle_s)
    return list(by_frame.values())


def still_of(reader: VideoReader) -> Moment:
    """Return the first moment that shows something, else the one that shows the most.

    Raises PictureError if no moment can be decoded.
    """
    best: Moment | None = None
    best_contrast = -1
    for moment in _decoded(reader, moments_s(reader.facts)):
        image = Image.fromarray(moment.pixels_HWC)
        if shows_something(image):
            return moment
        if (found := contrast(image)) > best_contrast:
            best, best_contrast = moment, found
    if best is None:  # a video has at least one moment, and the error of the last one is raised
        raise CorruptPictureError("The video has no frames.", hint="copy it again.")
    return best


def different_frames(reader: VideoReader, side_px: int) -> list[Moment]:
    """Return the moments that look different from those before them, at most ``side_px`` long.

    Raises PictureError if no moment can be decoded.
    """
    kept: list[Moment] = []
    seen: list[Image.Image] = []
    for moment in _decoded(reader, moments_s(reader.facts)):
        image = fit_within(Image.fromarray(moment.pixels_HWC), side_px)
        small = miniature(image, is_grey=False)
        if all(differs(small, one) for one in seen):
            seen.append(small)
            kept.append(Moment(moment.time_s, np.asarray(image)))
    return kept


def readable_frames(reader: VideoReader, still: Moment) -> list[Moment]:
    """Return up to three further frames for reading, from all of the video, that look different.

    What cannot be decoded is left out.
    """
    later = [one for one in moments_s(reader.facts) if one > still.time_s]
    step = max(1, len(later) // (MAX_FRAMES_READ - 1))
    kept: list[Moment] = []
    seen = [miniature(Image.fromarray(still.pixels_HWC))]
    with suppress(PictureError):  # the stage that embeds frames reports the damage
        for moment in _decoded(reader, later[step - 1 :: step][: MAX_FRAMES_READ - 1]):
            small = miniature(Image.fromarray(moment.pixels_HWC))
            if all(differs(small, one) for one in seen):
                seen.append(small)
                kept.append(moment)
    return kept


def as_tiff(pixels_HWC: npt.NDArray[np.uint8]) -> bytes:
    """Return a frame as the file of a picture, without loss, for the decoder of pictures."""
    out = io.BytesIO()
    Image.fromarray(pixels_HWC).save(out, "TIFF")
    return out.getvalue()


def _decoded(reader: VideoReader, times_s: list[float]) -> Iterator[Moment]:
    """Yield the moments that can be decoded; raises the last error if there are none.

    A damaged frame is passed over. When the child is gone, or its time is up, the rest is missing.
    """
    num_decoded = 0
    failure: PictureError | None = None
    for time_s in times_s:
        try:
            for pixels_HWC in reader.frames([reader.facts.frame_at(time_s)]):
                num_decoded += 1
                yield Moment(time_s, pixels_HWC)
        except DecoderFailedError as error:
            failure = error
            break
        except PictureError as error:
            failure = error
    if not num_decoded and failure is not None:
        raise failure
