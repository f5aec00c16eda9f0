"""Draws the icons of the installed web app, as PNG in the sizes that browsers and phones ask for.

Run it as ``python docs/draw_icons.py`` after changing it; ``static/icon.svg`` is the same drawing by hand.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

ICONS = Path(__file__).resolve().parents[1] / "src" / "smallsight" / "web" / "static" / "icons"
TEAL, WHITE = (15, 110, 106, 255), (255, 255, 255, 255)
GRID = 32.0  # the drawing's own units
SAFE_SHARE = 0.74  # of a maskable icon; phones cut away what is outside a circle of 80 %
_OVERSAMPLING = 4
_STEPS = 64

# The upper half of the eye's outline, as cubic Bézier curves.
_UPPER_LID = (
    ((4.0, 16.0), (7.6, 10.0), (12.0, 7.4), (16.0, 7.4)),
    ((16.0, 7.4), (20.0, 7.4), (24.4, 10.0), (28.0, 16.0)),
)


def icon(side_px: int, *, is_full: bool) -> Image.Image:
    """Return the icon; a full one has no transparent corners, and leaves room for being cut."""
    side = side_px * _OVERSAMPLING
    image = Image.new("RGBA", (side, side), TEAL if is_full else (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    if not is_full:
        draw.rounded_rectangle((0, 0, side - 1, side - 1), radius=side / 4, fill=TEAL)
    scale = side / GRID * (SAFE_SHARE if is_full else 1.0)
    offset = (side - GRID * scale) / 2

    def place(x: float, y: float) -> tuple[float, float]:
        return offset + x * scale, offset + y * scale

    def disc(x: float, y: float, radius: float, fill: tuple[int, int, int, int]) -> None:
        draw.ellipse((*place(x - radius, y - radius), *place(x + radius, y + radius)), fill=fill)

    upper = [place(*_bezier(curve, step / _STEPS)) for curve in _UPPER_LID for step in range(_STEPS + 1)]
    lower = [(x, side - y) for x, y in reversed(upper)]
    draw.polygon([*upper, *lower], fill=WHITE)
    disc(16.0, 16.0, 4.6, TEAL)
    disc(17.6, 14.4, 1.4, WHITE)
    return image.resize((side_px, side_px), Image.Resampling.LANCZOS)


def _bezier(curve: tuple[tuple[float, float], ...], at: float) -> tuple[float, float]:
    weights = ((1 - at) ** 3, 3 * at * (1 - at) ** 2, 3 * at**2 * (1 - at), at**3)
    x, y = (
        sum(weight * point[axis] for weight, point in zip(weights, curve, strict=True)) for axis in (0, 1)
    )
    return x, y


def main() -> None:
    """Write all icons."""
    ICONS.mkdir(exist_ok=True)
    for name, side_px, is_full in (
        ("192.png", 192, False),
        ("512.png", 512, False),
        ("maskable-512.png", 512, True),
        ("apple-touch.png", 180, True),
    ):
        drawn = icon(side_px, is_full=is_full)
        flat = drawn.convert("RGB") if is_full else drawn
        flat.quantize(64).save(ICONS / name, optimize=True)


if __name__ == "__main__":
    main()
