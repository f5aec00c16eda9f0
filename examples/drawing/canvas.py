"""A sheet to draw on in picture pixels that is really larger, so that every edge comes out smooth.

Owns shapes, gradients, layers and the final scaling down. Colours are strings: ``#rrggbb`` or ``#rrggbbaa``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter

from drawing.fonts import load_font

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Stops = Sequence[tuple[float, str]]

CLEAR = "#00000000"
INK = "#2b2320"


def rgba(colour: str) -> tuple[int, int, int, int]:
    """Return the four levels of a colour, 0 to 255."""
    red, green, blue, alpha = ImageColor.getcolor(colour, "RGBA")  # type: ignore[misc]  # always four in RGBA
    return red, green, blue, alpha


def mix(first: str, second: str, amount: float) -> str:
    """Return the colour ``amount`` of the way (0 to 1) from the first to the second."""
    levels = (a + (b - a) * amount for a, b in zip(rgba(first), rgba(second), strict=True))
    return "#" + "".join(f"{round(level):02x}" for level in levels)


def smooth(points: Sequence[Point], *, closed: bool, steps: int = 12) -> list[Point]:
    """Return a Catmull-Rom curve through the points."""
    ring = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    t = np.arange(steps)[:, None] / steps
    weights = np.hstack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]
    )
    curve: list[Point] = []
    for start in range(len(ring) - 3):
        part = weights @ np.array(ring[start : start + 4], dtype=np.float64) / 2
        curve.extend((float(x), float(y)) for x, y in part)
    return curve if closed else [*curve, points[-1]]


def ring(x: float, y: float, rx: float, ry: float, *, start: float = 0, end: float = 360) -> list[Point]:
    """Return points along an ellipse; angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 73))
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]


def turned(points: Sequence[Point], degrees: float, around: Point) -> list[Point]:
    """Return the points turned clockwise around a point."""
    cos, sin = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    x0, y0 = around
    return [(x0 + (x - x0) * cos - (y - y0) * sin, y0 + (x - x0) * sin + (y - y0) * cos) for x, y in points]


class Canvas:
    """A drawing of ``width_px`` x ``height_px``, kept ``scale`` times larger until ``finish``."""

    def __init__(self, width_px: int, height_px: int, fill: str = "#ffffff", *, scale: int = 3) -> None:
        self.width_px, self.height_px, self.scale = width_px, height_px, scale
        self.origin, self.zoom, self.mirror = (0.0, 0.0), 1.0, 1
        size = (width_px * scale, height_px * scale)
        self.use(Image.new("RGBA" if fill == CLEAR else "RGB", size, fill))

    def use(self, image: Image.Image) -> None:
        """Draw on this image: translucent colours blend on an opaque one and replace on a clear one."""
        self.image = image
        self._pen = ImageDraw.Draw(image, "RGBA")

    def at(self, x: float, y: float, zoom: float = 1, *, flip: bool = False) -> Canvas:
        """Return the same sheet with (x, y) as its (0, 0), everything ``zoom`` times larger, or mirrored."""
        view = copy.copy(self)
        (view.origin,) = self._points([(x, y)])
        view.origin = (view.origin[0] / self.scale, view.origin[1] / self.scale)
        view.zoom, view.mirror = self.zoom * zoom, -self.mirror if flip else self.mirror
        return view

    def _points(self, points: Sequence[Point]) -> list[Point]:
        """Return where points of this view are on the large image."""
        (x0, y0), k = self.origin, self.scale
        return [((x0 + x * self.zoom * self.mirror) * k, (y0 + y * self.zoom) * k) for x, y in points]

    def _edges(self, box: Box) -> Box:
        (x0, y0), (x1, y1) = self._points([box[:2], box[2:]])
        return min(x0, x1), y0, max(x0, x1), y1

    def _length(self, length: float) -> float:
        return length * self.zoom * self.scale

    def box(
        self, box: Box, fill: str, *, radius: float = 0, outline: str | None = None, width: float = 0
    ) -> None:
        """Draw a rectangle, with round corners where ``radius`` is given."""
        x0, y0, x1, y1 = self._edges(box)
        edges = (x0, y0, max(x0, x1 - 1), max(y0, y1 - 1))
        self._pen.rounded_rectangle(edges, self._length(radius), fill, outline, round(self._length(width)))

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: str, *, turn: float = 0, edge: float = 0
    ) -> None:
        """Fill an ellipse around a centre, turned clockwise by ``turn`` degrees."""
        self.polygon(turned(ring(x, y, rx, ry), turn, (x, y)), fill, edge=edge)

    def polygon(self, points: Sequence[Point], fill: str, *, edge: float = 0) -> None:
        """Fill a polygon and, with ``edge``, draw an ink line of that width around it."""
        self._pen.polygon(self._points(points), fill)
        if edge:
            self.stroke([*points, points[0], points[1]], INK, edge)

    def blob(self, points: Sequence[Point], fill: str, *, edge: float = 0) -> None:
        """Fill a smooth closed curve through the points."""
        self.polygon(smooth(points, closed=True), fill, edge=edge)

    def stroke(self, points: Sequence[Point], fill: str, width: float) -> None:
        """Draw a line with round joints and ends; a translucent one has plain joints."""
        at, thick = self._points(points), max(1.0, self._length(width))
        if thick <= 3 or rgba(fill)[3] < 255:
            self._pen.line(at, fill, round(thick), joint="curve")
            return
        half = thick / 2
        for (x0, y0), (x1, y1) in pairwise(at):
            length = max(1e-6, float(np.hypot(x1 - x0, y1 - y0)))
            dx, dy = (y1 - y0) / length * half, (x0 - x1) / length * half
            self._pen.polygon(
                [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)], fill
            )
        for x, y in at:
            self._pen.ellipse((x - half, y - half, x + half, y + half), fill)

    def curve(self, points: Sequence[Point], fill: str, width: float) -> None:
        """Draw a smooth line through the points."""
        self.stroke(smooth(points, closed=False), fill, width)

    def arc(self, x: float, y: float, rx: float, ry: float, span: Point, fill: str, width: float) -> None:
        """Draw a part of an ellipse, from one angle to another, in degrees clockwise from the right."""
        self.stroke(ring(x, y, rx, ry, start=span[0], end=span[1]), fill, width)

    def gradient(self, stops: Stops, box: Box | None = None, *, sideways: bool = False) -> None:
        """Fill a box (or everything) with colours that change from top to bottom, or left to right."""
        x0, y0, x1, y1 = (0, 0, *self.image.size) if box is None else map(round, self._edges(box))
        size = (max(1, x1 - x0), max(1, y1 - y0))
        places = np.linspace(0, 1, size[0] if sideways else size[1])
        colours = np.array([rgba(colour) for _, colour in stops], dtype=np.float64)
        at = [place for place, _ in stops]
        line = np.stack([np.interp(places, at, colours[:, band]) for band in range(4)], axis=-1)
        strip = line[None] if sideways else line[:, None]
        ramp = Image.fromarray(np.round(strip).astype(np.uint8)).resize(size)
        self.image.paste(ramp, (x0, y0), ramp)

    def glow(self, x: float, y: float, radius: float, fill: str, *, power: float = 2.0) -> None:
        """Lay a light around a point, fading to nothing at ``radius``; ``power`` narrows its middle."""
        ((left, top),) = self._points([(x, y)])
        reach = round(self._length(radius))
        span = np.linspace(-1, 1, max(2, reach * 2))
        away = np.minimum(1, np.hypot(span[None], span[:, None]))
        mask = Image.fromarray(np.round((1 - away) ** power * rgba(fill)[3]).astype(np.uint8))
        self.image.paste(
            Image.new("RGB", mask.size, fill[:7]), (round(left) - reach, round(top) - reach), mask
        )

    def text(
        self,
        at: Point,
        words: str,
        face: str,
        size: float,
        fill: str = "#000000",
        *,
        anchor: str = "lm",
        stroke: tuple[float, str] | None = None,
    ) -> None:
        """Write a line; ``anchor`` is Pillow's, ``lm`` being the middle of the left edge."""
        width, colour = stroke or (0, fill)
        font = load_font(face, round(self._length(size)))
        (place,) = self._points([at])
        self._pen.text(place, words, fill, font, anchor, stroke_width=self._length(width), stroke_fill=colour)

    def measure(self, words: str, face: str, size: float) -> float:
        """Return how wide a line of text comes out."""
        return load_font(face, round(self._length(size))).getlength(words) / self._length(1)

    def paste(self, image: Image.Image, x: float, y: float) -> None:
        """Put an image of the large sheet's scale with its corner at a place, where it is not transparent."""
        ((left, top),) = self._points([(x, y)])
        place = round(left), round(top)
        if self.image.mode == "RGB":
            self.image.paste(image, place, image)
            return
        sheet = Image.new("RGBA", self.image.size, CLEAR)
        sheet.paste(image, place)
        self.image.alpha_composite(sheet)

    @contextmanager
    def layer(
        self,
        *,
        blur: float = 0,
        opacity: float = 1,
        turn: float = 0,
        around: Point = (0, 0),
        within: Callable[[Canvas], None] | None = None,
    ) -> Iterator[Canvas]:
        """Draw on a clear sheet, which is then blurred, turned, cut to a shape and laid over this one.

        ``turn`` is in degrees clockwise around a point; ``within`` draws the shape, in any opaque colour,
        outside of which nothing shows.
        """
        sheet = self._clear()
        yield sheet
        image = sheet.image
        if blur:
            soft = ImageFilter.GaussianBlur(self._length(blur))
            image = image.convert("RGBa").filter(soft).convert("RGBA")
        if turn:
            (centre,) = self._points([around])
            image = image.rotate(-turn, Image.Resampling.BICUBIC, center=centre)
        if within is not None:
            shape = self._clear()
            within(shape)
            image.putalpha(ImageChops.multiply(image.getchannel("A"), shape.image.getchannel("A")))
        if opacity < 1:
            image.putalpha(image.getchannel("A").point([round(level * opacity) for level in range(256)]))
        self._lay(image)

    def _clear(self) -> Canvas:
        sheet = copy.copy(self)
        sheet.use(Image.new("RGBA", self.image.size, CLEAR))
        return sheet

    def _lay(self, sheet: Image.Image) -> None:
        if self.image.mode == "RGBA":
            self.image.alpha_composite(sheet)
        else:
            self.image.paste(sheet, (0, 0), sheet)

    def finish(self) -> Image.Image:
        """Return the drawing at its own size."""
        return self.image.resize((self.width_px, self.height_px), Image.Resampling.LANCZOS)
