"""Parses Florence-2's output into boxes, quadrilaterals and polygons in pixels of the picture.

Coordinates are written as ``<loc_0>`` to ``<loc_999>``, thousandths of the picture's side. Source of the
grammar and its quirks: transformers 5.x, models/florence2, Florence2PostProcessor.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from smallsight.families.florence2.tasks import TaskPrompt

BINS = 1000
_LOCATION = re.compile(r"<loc_(\d+)>")
_STRAY_LOCATIONS = re.compile(r"\s*(?:<?loc_\d+>\s*)+")
_BOX = re.compile(r"<loc_(\d+)>" * 4)
_QUAD = re.compile(r"(.+?)" + r"<loc_(\d+)>" * 8)
_NAMED = re.compile(r"([^<]+(?:<loc_\d+>){4,})")
_UNNAMED = re.compile(r"(?:<loc_\d+>){4,}")
_NAME = re.compile(r"^\s*(.*?)(?=</?od>|</?box>|</?bbox>|<loc_|<poly>)")
_SHAPED = re.compile(r"([^<]+(?:<loc_\d+>|<sep>|<poly>|</poly>){4,})")
_SHAPES = re.compile(r"(?:<loc_\d+>|<sep>|<poly>|</poly>){4,}")
_POLYGON = re.compile(r"((?:<loc_\d+>)+)(?:<sep>|$)")


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings from a checkpoint's processor_config.json.

    ``not_phrases`` are excluded from phrase grounding. ``least_quad_area`` is the smallest quadrilateral that
    is kept, as a fraction of the picture's area.
    """

    not_phrases: frozenset[str] = frozenset()
    least_quad_area: float = 0.0


NO_RULES = Rules()


def read_answer(
    text: str, task: TaskPrompt, size: tuple[int, int], rules: Rules = NO_RULES, phrase: str = ""
) -> dict[str, Any] | str:
    """Parse the output ``text`` of a task on a picture of size (width, height).

    "text" gives a string. "boxes" and "regions": ``bboxes`` [x1, y1, x2, y2] and ``labels``. "quads":
    ``quad_boxes`` of four corners and ``labels``. "polygons": ``polygons``, several for each of ``labels``,
    as alternating x and y. "boxes or polygons": both, each with labels. Coordinates are whole pixels. Labels
    of boxes are ASCII, as in transformers 5.24, unless they are part of the person's ``phrase``.
    """
    written = re.sub(r"</?s>|<pad>", "", text)
    if task.form == "text":
        return re.sub(r"</?s>", "", text).strip()
    if task.form == "quads":
        quads = [(match[1].strip(), _pixels(match.groups()[1:], size)) for match in _QUAD.finditer(written)]
        least = rules.least_quad_area * size[0] * size[1]
        found = [(label, box) for label, box in quads if not least or _area(box) >= least]
        return {"quad_boxes": [box for _, box in found], "labels": [label for label, _ in found]}
    if task.form == "polygons":
        shapes = list(_polygons(written, size, is_named=False))
        return {"polygons": [shape for _, shape in shapes], "labels": [label for label, _ in shapes]}
    if task.form == "boxes or polygons":
        has_shapes = "<poly>" in text
        shapes = list(_polygons(written, size, is_named=True)) if has_shapes else []
        boxes = [] if has_shapes else list(_boxes(written, size, is_named=True, phrase=phrase))
        return {
            "bboxes": [box for _, box in boxes],
            "bboxes_labels": [label for label, _ in boxes],
            "polygons": [shape for _, shape in shapes],
            "polygons_labels": [label for label, _ in shapes],
        }
    excluded = rules.not_phrases if task.form == "phrases" else frozenset()
    is_named = task.form != "regions"
    boxes = list(_boxes(written, size, is_named=is_named, phrase=phrase, excluded=excluded))
    return {"bboxes": [box for _, box in boxes], "labels": [label for label, _ in boxes]}


def in_words(found: dict[str, Any] | str, task: TaskPrompt) -> tuple[str, dict[str, Any] | None]:
    """Return an answer as text, and as data with its ``task``, or None for tasks that produce text.

    Locations that the reference leaves in texts and labels, whole or cut in two, are removed from both.
    """
    if isinstance(found, str):
        return _without_locations(found), None
    data = {
        name: [_without_locations(one) for one in values] if name.endswith("labels") else values
        for name, values in found.items()
    }
    named = dict.fromkeys(
        label for name, values in data.items() if name.endswith("labels") for label in values if label
    )
    text = ("\n" if task.form == "quads" else ", ").join(named)
    return text, {"task": task.token, **data}


def _without_locations(text: str) -> str:
    return _STRAY_LOCATIONS.sub(" ", text).strip()


def _boxes(
    written: str,
    size: tuple[int, int],
    *,
    is_named: bool,
    phrase: str,
    excluded: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, list[int]]]:
    for piece in (_NAMED if is_named else _UNNAMED).findall(written):
        name = _name(piece)
        if name is None or name in excluded:
            continue
        for match in _BOX.finditer(piece):
            yield _label(name, phrase), _pixels(match.groups(), size)


def _polygons(
    written: str, size: tuple[int, int], *, is_named: bool
) -> Iterator[tuple[str, list[list[int]]]]:
    """Yield a name and its polygons; an unpaired last coordinate is dropped."""
    for piece in (_SHAPED if is_named else _SHAPES).findall(written):
        name = _name(_LOCATION.sub("", piece, count=1) if piece.startswith("<loc_") else piece)
        if name is None:
            continue
        groups = [piece]
        if "<poly>" in piece and "</poly>" in piece:
            groups = re.findall(r"<poly>(.*?)</poly>", piece)
        for group in groups:
            shapes = []
            for match in _POLYGON.finditer(group):
                places = _LOCATION.findall(match[1])
                shapes.append(_pixels(places[: len(places) // 2 * 2], size))
            if shapes:
                yield name, shapes


def _name(piece: str) -> str | None:
    match = _NAME.search(piece.replace("<ground>", "", 1).replace("<obj>", "", 1))
    return None if match is None else match[1].strip()


def _label(name: str, phrase: str) -> str:
    if _folded(name) in _folded(phrase):
        return name
    return name.encode("ascii", "ignore").decode("ascii")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _pixels(places: Sequence[str], size: tuple[int, int]) -> list[int]:
    """Return the bins' centres in pixels, alternating x and y."""
    return [int((int(place) + 0.5) * (size[index % 2] / BINS)) for index, place in enumerate(places)]


def _area(corners: Sequence[int]) -> float:
    """Return the area as the reference computes it: the shoelace sum without its closing term."""
    xs, ys = corners[0::2], corners[1::2]
    return 0.5 * abs(sum(xs[i] * ys[i + 1] - xs[i + 1] * ys[i] for i in range(3)))
