"""A detected place in a picture: a point or a box."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A point or a box's centre, and a box's (width, height); all as fractions of the picture's sides."""

    x: float
    y: float
    size: tuple[float, float] | None = None

    def in_pixels(self, picture: tuple[int, int]) -> tuple[float, ...]:
        """Return (x, y) or (left, top, right, bottom) in pixels, clipped to a picture of (width, height)."""
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
