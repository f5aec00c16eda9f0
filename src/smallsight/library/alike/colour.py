"""Compares the colours of two aligned pictures, which brightness says nothing about.

Colour is chroma, blue and red against brightness; a change of saturation or of tint that holds for the whole
picture does not count, nor does a picture of one tone, such as grey or sepia.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smallsight.library.alike.alignment import ComparableImage, Rect, overlap

__all__ = ["ColourImage", "differing_colours"]

_SHRUNK = 4  # pixels of the picture to one of colour: JPEG halves the colours itself
_TO_CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_CELLS = 16  # per side
_LEAST_COLOUR = 6.0  # levels of 256, standard deviation: less is one tone
_LEAST_GAIN, _MOST_GAIN = 0.4, 2.5
_DIFFERENT = 28.0  # levels of 256, in one cell; a third of the size or brighter changes few cells as much


class ColourImage:
    """The chroma of a picture at a quarter of its size, prepared for sampling."""

    def __init__(self, planes: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]) -> None:
        self.planes = planes
        self._prepared: tuple[ComparableImage, ComparableImage] | None = None

    @classmethod
    def of(cls, image_HWC: npt.NDArray[np.uint8]) -> ColourImage:
        """Take the colours of RGB pixels."""
        height, width = (side - side % _SHRUNK for side in image_HWC.shape[:2])
        if not height or not width:
            height, width = image_HWC.shape[:2]
            small = image_HWC.astype(np.float32)
        else:
            parts = image_HWC[:height, :width].reshape(
                height // _SHRUNK, _SHRUNK, width // _SHRUNK, _SHRUNK, 3
            )
            small = parts.mean(axis=(1, 3), dtype=np.float32)
        chroma = np.clip(small @ _TO_CHROMA.T + 128.5, 0, 255).astype(np.uint8)
        return cls((chroma[..., 0], chroma[..., 1]))

    def sample(self, rect: Rect) -> npt.NDArray[np.float32]:
        """Return the chroma [cells, 2] of equal parts of a rectangle; 128 is grey."""
        if self._prepared is None:
            self._prepared = ComparableImage(self.planes[0]), ComparableImage(self.planes[1])
        sampled = [plane.sample(rect, _CELLS).ravel() for plane in self._prepared]
        return np.stack(sampled, axis=1)


def differing_colours(first: ColourImage, second: ColourImage, frame: Rect) -> float:
    """Return the share of the overlap whose colours differ; the second picture is at ``frame``."""
    ours, theirs = overlap(frame)
    a, b = first.sample(ours), second.sample(theirs)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    if min(_spread(a), _spread(b)) < _LEAST_COLOUR:
        return 0.0
    return min(_differing(a, b), _differing(b, a))


def _spread(chroma_NC: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt((chroma_NC**2).sum(axis=1).mean()))


def _differing(a_NC: npt.NDArray[np.float32], b_NC: npt.NDArray[np.float32]) -> float:
    """Return the share of cells that differ once saturation is made the same."""
    gain = np.clip((a_NC * b_NC).sum() / (a_NC * a_NC).sum(), _LEAST_GAIN, _MOST_GAIN)
    distance_N = np.sqrt(((gain * a_NC - b_NC) ** 2).sum(axis=1))
    return float((distance_N > _DIFFERENT).mean())
