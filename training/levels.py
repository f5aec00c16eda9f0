"""How difficult pictures are, level by level; training moves up when it has learnt one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """Limits of one level. ``grid`` is the largest number of tiles (columns, rows).

    ``shares`` of pictures of one tile that are mostly a paragraph (several lines below each other teach
    reading fastest), one line, a line at the top and one at the bottom, or things; else all by chance.

    Pages are full of letters and things, and only the class of each cell is learnt from them.
    """

    max_chars: int
    font_px: tuple[int, int]
    max_lines: int
    max_things: int
    thing_px: tuple[int, int]
    backgrounds: tuple[str, ...] = ("plain",)
    places: tuple[str, ...] = ("top", "bottom")
    looks: tuple[str, ...] = ("plain",)
    spoiling: float = 0.0
    max_angle: float = 0.0
    grid: tuple[int, int] = (1, 1)
    is_page: bool = False
    shares: tuple[float, ...] = ()


_SOFT = ("plain", "gradient")
_ROUGH = (*_SOFT, "stripes", "texture")
_ALL = (*_ROUGH, "noise", "crowd")
_PLACES = ("top", "bottom", "middle", "bubble")
_LOOKS = ("plain", "outline", "bar")
_SHARES = (0.15, 0.33, 0.1, 0.42)

LEVELS = (
    Level(8, (18, 34), 0, 4, (32, 80), looks=("plain", "plain", "bar"), is_page=True),
    Level(8, (18, 34), 0, 4, (32, 80), _ROUGH, looks=_LOOKS, spoiling=0.2, is_page=True),
    Level(8, (18, 36), 2, 2, (40, 90), _SOFT, looks=("plain", "outline"), shares=(0.6, 0.2, 0.1, 0.1)),
    Level(12, (14, 36), 2, 3, (36, 90), _ROUGH, (*_PLACES[:3],), _LOOKS, spoiling=0.2, shares=_SHARES),
    Level(12, (14, 36), 2, 4, (32, 90), _ALL, _PLACES, _LOOKS, spoiling=0.3, max_angle=3, shares=_SHARES),
    Level(
        14,
        (18, 34),
        3,
        4,
        (32, 90),
        _ALL,
        (*_PLACES, "chat"),
        _LOOKS,
        spoiling=0.5,
        max_angle=4,
        shares=_SHARES,
    ),
    Level(
        16,
        (14, 36),
        3,
        4,
        (28, 110),
        _ALL,
        (*_PLACES, "chat"),
        _LOOKS,
        spoiling=0.5,
        max_angle=4,
        grid=(3, 3),
        shares=_SHARES,
    ),
)
LAST_PAGES = Level(8, (16, 40), 0, 5, (28, 96), _ALL, looks=_LOOKS, spoiling=0.4, max_angle=3, is_page=True)
