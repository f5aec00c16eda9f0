"""A place in a picture that a model found: a point or a box."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A point, or the middle of a box, in parts of the picture's sides; ``size`` is a box's width and
    height.
    """

    x: float
    y: float
    size: tuple[float, float] | None = None

    def in_pixels(self, picture: tuple[int, int]) -> tuple[float, ...]:
        """Return (x, y), or a box as (left, top, right, bottom), inside a picture of this (width, height)."""
        width, height = picture
        if self.size is None:
            return _within(self.x, width), _within(self.y, height)
        half_width, half_height = self.size[0] / 2, self.size[1] / 2
        return (
            _within(self.x - half_width, width),
            _within(self.y - half_height, height),
            _within(self.x + half_width, width),
            _within(self.y + half_height, height),
        )


def _within(part: float, side_px: int) -> float:
    return min(max(part * side_px, 0.0), float(side_px))
