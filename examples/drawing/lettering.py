"""Words on pictures: meme capitals with an outline, caption bars, speech bubbles and wrapped paragraphs."""

from __future__ import annotations

from PIL import Image, ImageDraw

from drawing.canvas import CLEAR, Box, Canvas, Point
from drawing.fonts import load_font

CONDENSED = 0.68


def wrap(canvas: Canvas, words: str, face: str, size: float, max_width: float) -> list[str]:
    """Return the words as lines that are no wider than ``max_width``."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and canvas.measure(longer, face, size) > max_width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def paragraph(
    canvas: Canvas,
    at: Point,
    lines: list[str],
    face: str,
    size: float,
    fill: str = "#000000",
    *,
    anchor: str = "lm",
    spacing: float = 1.35,
) -> float:
    """Write lines under each other and return where the next one would go."""
    x, y = at
    for line in lines:
        canvas.text((x, y), line, face, size, fill, anchor=anchor)
        y += size * spacing
    return y


def capitals(words: str, size_px: int, fill: str = "#ffffff", edge: str = "#000000") -> Image.Image:
    """Return a line in narrow heavy capitals with an outline, on a clear ground."""
    font = load_font("impact", size_px)
    spaced = words.replace(" ", "  ")
    width = round(font.getlength(spaced) + size_px * 0.4)
    image = Image.new("RGBA", (width, round(size_px * 1.25)), CLEAR)
    ImageDraw.Draw(image).text(
        (size_px * 0.2, size_px * 0.6),
        spaced,
        fill,
        font,
        "lm",
        stroke_width=size_px * 0.075,
        stroke_fill=edge,
    )
    return image.resize((round(width * CONDENSED), image.height), Image.Resampling.LANCZOS)


def meme_line(
    canvas: Canvas,
    words: str,
    y: float,
    size: float,
    *,
    x: float | None = None,
    max_width: float | None = None,
) -> None:
    """Write a line of meme capitals around a middle, smaller where it would not fit."""
    room = (max_width or canvas.width_px - 40) * canvas.scale
    line = capitals(words, round(size * canvas.scale))
    if line.width > room:
        line = capitals(words, int(size * canvas.scale * room / line.width))
    middle = canvas.width_px / 2 if x is None else x
    canvas.paste(line, middle - line.width / canvas.scale / 2, y - line.height / canvas.scale / 2)


def caption_bar(canvas: Canvas, words: str, height: float, size: float) -> None:
    """Write a caption in a white bar over the top of the picture."""
    canvas.box((0, 0, canvas.width_px, height), "#ffffff")
    lines = wrap(canvas, words, "ui-medium", size, canvas.width_px - 56)
    top = height / 2 - (len(lines) - 1) * size * 0.65
    paragraph(canvas, (28, top), lines, "ui-medium", size, "#111111", spacing=1.3)


def bubble(
    canvas: Canvas, box: Box, tip: Point, lines: list[str], size: float, *, face: str = "comic"
) -> None:
    """Draw a speech bubble whose tail ends at ``tip`` and write lines into it."""
    x0, y0, x1, y1 = box
    radius = min(34, (y1 - y0) / 2)
    root = min(max(tip[0], x0 + radius + 16), x1 - radius - 16)
    edge = y1 if tip[1] > y1 else y0
    for grow, colour in ((4, "#222222"), (0, "#ffffff")):
        canvas.box((x0 - grow, y0 - grow, x1 + grow, y1 + grow), colour, radius=radius + grow)
        inside = -6 if edge == y1 else 6
        canvas.polygon(
            [
                (root - 16 - grow, edge + inside),
                (root + 16 + grow, edge + inside),
                (tip[0], tip[1] + (grow if edge == y1 else -grow) * 2),
            ],
            colour,
        )
    middle = (y0 + y1) / 2 - (len(lines) - 1) * size * 0.6
    paragraph(canvas, ((x0 + x1) / 2, middle), lines, face, size, "#1a1a1a", anchor="mm", spacing=1.2)
