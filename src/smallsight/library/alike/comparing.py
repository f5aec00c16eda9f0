"""Compares contents with all others: candidates by the hashes of their views, then by their thumbnails."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smallsight.library.alike.alignment import (
    ComparableImage,
    Comparison,
    Rect,
    compare,
    frame_of,
    oriented_image,
    start,
)
from smallsight.library.alike.candidates import HashIndex
from smallsight.library.alike.colour import ColourImage, differing_colours
from smallsight.library.alike.pairs import AlikePair, Reason
from smallsight.library.alike.views import FRAME, NUM_WAYS, RECT_STEPS, oriented

__all__ = ["Alignment", "Facts", "ViewTable", "compared"]

_MAX_BITS = 12  # of 63; two different pictures rarely have so near hashes
_MOST_PARTNERS, _MOST_OF_A_KIND = 24, 3
_MOST_COMPARED, _NEAR_FRAMES = 2, 0.01
_PROMISING = 0.97  # correlation at the start, for a comparison before others are tried
_SAME_CORRELATION, _SAME_DIFFERING, _SAME_CAPTIONS_DIFFERING = 0.9, 0.06, 0.15
_UNCHANGED_DIFFERING, _ENOUGH_DIFFERING = 0.01, 0.04
_SIMILAR_CORRELATION = 0.6
_SLACK = 0.01  # of a side, by which an edge may be uncertain
_NEAR_GROUND, _LEAST_GROUND = 20.0, 0.55  # grey values, and the share of a strip with words that is empty
_MIRRORED_FROM = 4
_LEAST_OUTSIDE = 0.015  # of a side
_EVEN_DEVIATION = 12.0  # grey values, of what is outside the picture inside a border

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_OTHER_COLOURS = 0.05  # share of the overlap whose colours differ

Thumbnail = npt.NDArray[np.uint8]  # RGB [height, width, 3]


@dataclass(frozen=True, slots=True)
class Facts:
    """What reasons are made of besides looks."""

    format: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two views that may show the same: ``way`` mirrors and turns the first picture before its rect counts.

    ``cropped`` is 0 if the first picture may be a crop of the other, 1 for the reverse, None for neither.
    """

    bits: int
    way: int
    rect: Rect
    known_rect: Rect
    cropped: int | None = None


class ViewTable:
    """The views of all contents, in memory: about 1.4 KB a content."""

    def __init__(self, content_ids_N: npt.NDArray[np.int64], views_N: npt.NDArray[np.void]) -> None:
        self._ids_N = content_ids_N
        self._views_N = views_N
        self._frames = np.flatnonzero(views_N["kind"] == FRAME)
        self._crops = np.flatnonzero(views_N["kind"] != FRAME)
        self._known_frames = HashIndex(views_N["hash"][self._frames])
        self._known_crops = HashIndex(views_N["hash"][self._crops])

    def candidates(
        self, content_ids: Sequence[int], is_wanted: Callable[[int, int], bool]
    ) -> dict[tuple[int, int], list[Alignment]]:
        """Return the pairs of one of the contents and another that may look alike, with their alignments."""
        mine = np.isin(self._ids_N, np.asarray(content_ids, np.int64))
        frames, crops = self._frames[mine[self._frames]], self._crops[mine[self._crops]]
        found: dict[tuple[int, int], list[Alignment]] = defaultdict(list)
        for way in range(NUM_WAYS):
            self._add(found, frames, (self._frames, self._known_frames), way, is_wanted)
        self._add(found, crops, (self._frames, self._known_frames), 0, is_wanted)
        self._add(found, frames, (self._crops, self._known_crops), 0, is_wanted)
        for one in found.values():
            one.sort(key=lambda alignment: (alignment.bits, alignment.way))
        return _nearest(found)

    def _add(
        self,
        found: dict[tuple[int, int], list[Alignment]],
        rows: npt.NDArray[np.int64],
        known: tuple[npt.NDArray[np.int64], HashIndex],
        way: int,
        is_wanted: Callable[[int, int], bool],
    ) -> None:
        known_rows, index = known
        if not len(rows) or not len(known_rows):
            return
        hashes_N = self._views_N["hash"][rows]
        near = index.near(oriented(hashes_N, way), _MAX_BITS)
        for one, other, bits in zip(near.rows_P, near.known_rows_P, near.bits_P, strict=True):
            row, known_row = int(rows[one]), int(known_rows[other])
            pair = int(self._ids_N[row]), int(self._ids_N[known_row])
            if pair[0] == pair[1] or not is_wanted(*pair):
                continue
            view, other_view = self._views_N[row], self._views_N[known_row]
            cropped = 1 if view["kind"] != FRAME else 0 if other_view["kind"] != FRAME else None
            rect = _turned_rect(_fractions(view["rect"]), way)
            found[pair].append(Alignment(int(bits), way, rect, _fractions(other_view["rect"]), cropped))


def compared(
    candidates: dict[tuple[int, int], list[Alignment]],
    thumbnail: Callable[[int], Thumbnail | None],
    facts: dict[int, Facts],
) -> Iterator[AlikePair]:
    """Yield the candidates that their thumbnails confirm, as pairs."""
    kept = _RecentImages(thumbnail)
    for (one, other), alignments in sorted(candidates.items()):
        theirs = kept.get(other, 0)
        ours = kept.get(one, 0)
        if ours is None or theirs is None:
            continue
        tried = _tried(one, theirs, _worth_trying(alignments), kept)
        pair = None if tried is None else _verdict(one, other, tried, alignments, facts)
        if pair is not None:
            yield pair


def _worth_trying(alignments: Sequence[Alignment]) -> list[Alignment]:
    """Return the nearest alignments, those of whole pictures first: with a caption taken off, say."""
    frames = [one for one in alignments if one.cropped is None]
    crops = [one for one in alignments if one.cropped is not None]
    return frames[:_MOST_OF_A_KIND] + crops[:_MOST_OF_A_KIND]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A thumbnail as brightness and as colours."""

    grey: ComparableImage
    colours: ColourImage

    @classmethod
    def of(cls, image_HWC: Thumbnail) -> _Prepared:
        grey_HW = (image_HWC @ _LUMA + 0.5).astype(np.uint8)
        return cls(ComparableImage(grey_HW), ColourImage.of(image_HWC))

    def oriented(self, way: int) -> _Prepared:
        blue_HW, red_HW = (oriented_image(plane_HW, way) for plane_HW in self.colours.planes)
        return _Prepared(
            ComparableImage(oriented_image(self.grey.image, way)), ColourImage((blue_HW, red_HW))
        )


@dataclass(frozen=True, slots=True)
class _Tried:
    """The best comparison of two pictures, the first mirrored and turned."""

    comparison: Comparison
    way: int
    prepared: tuple[_Prepared, _Prepared]

    @property
    def greys(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        return self.prepared[0].grey.image, self.prepared[1].grey.image

    @property
    def have_other_colours(self) -> bool:
        ours, theirs = self.prepared
        return differing_colours(ours.colours, theirs.colours, self.comparison.frame) > _OTHER_COLOURS


def _tried(
    one: int, theirs: _Prepared, alignments: Sequence[Alignment], kept: _RecentImages
) -> _Tried | None:
    """Align roughly in these ways, and compare in the most promising ones; None if there is none."""
    best: _Tried | None = None
    begun: list[tuple[float, Rect, int]] = []
    expected: list[tuple[Rect, int]] = []
    for alignment in alignments:
        frame, way = frame_of(alignment.rect, alignment.known_rect), alignment.way
        if any(way == other and _are_near(frame, known) for known, other in expected):
            continue
        expected.append((frame, way))
        ours = kept.get(one, way)
        found = None if ours is None else start(ours.grey, alignment.rect, theirs.grey, alignment.known_rect)
        if ours is None or found is None:
            continue
        if found.correlation >= _PROMISING:
            best = _better(best, ours, theirs, found.frame, way)
            if best.comparison.differing <= _ENOUGH_DIFFERING:
                return best
        else:
            begun.append((found.correlation, found.frame, way))
    for _, frame, way in sorted(begun, reverse=True)[:_MOST_COMPARED]:
        ours = kept.get(one, way)
        if ours is not None:
            best = _better(best, ours, theirs, frame, way)
    return best


def _better(best: _Tried | None, ours: _Prepared, theirs: _Prepared, frame: Rect, way: int) -> _Tried:
    comparison = compare(ours.grey, theirs.grey, frame)
    if best is not None and best.comparison.differing <= comparison.differing:
        return best
    return _Tried(comparison, way, (ours, theirs))


def _are_near(one: Rect, other: Rect) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) < _NEAR_FRAMES


def _verdict(
    one: int, other: int, tried: _Tried, alignments: Sequence[Alignment], facts: dict[int, Facts]
) -> AlikePair | None:
    best = tried.comparison
    is_same = best.correlation >= _SAME_CORRELATION and best.differing <= _SAME_DIFFERING
    is_upright = tried.way == 0
    first_id, second_id = sorted((one, other))
    correlation = round(best.correlation, 3)
    if is_upright and best.correlation >= _SAME_CORRELATION and _have_other_captions(tried, alignments):
        return AlikePair(first_id, second_id, False, True, correlation, (Reason.OTHER_WORDS,))
    if is_same and tried.have_other_colours:
        if not is_upright:
            return None
        return AlikePair(first_id, second_id, False, True, correlation, (Reason.OTHER_COLOURS,))
    if not is_same:
        if best.correlation < _SIMILAR_CORRELATION or not is_upright:
            return None
        return AlikePair(first_id, second_id, False, True, correlation, (Reason.SCENE,))
    reasons, changed = _changes(tried)
    reasons = list(dict.fromkeys(reasons)) + _file_changes(facts.get(one), facts.get(other))
    return AlikePair(
        first_id,
        second_id,
        is_same=True,
        is_upright=is_upright,
        correlation=correlation,
        reasons=tuple(reasons or [Reason.ENCODED]),
        changed_id=None if changed is None else (one, other)[changed],
    )


def _have_other_captions(tried: _Tried, alignments: Sequence[Alignment]) -> bool:
    """Return whether both have words on a strip beside the picture, and those look different."""
    best = tried.comparison
    beside = _outside(tried.greys[0], best.frame), _outside(tried.greys[1], _seen_from(best.frame))
    if beside == (Reason.CAPTION, Reason.CAPTION):
        return True
    return any(
        one.cropped is None
        and one.way == 0
        and best.differing_beside(one.rect) > _SAME_CAPTIONS_DIFFERING
        and _outside(tried.greys[0], one.rect) is _outside(tried.greys[1], one.known_rect) is Reason.CAPTION
        for one in alignments
    )


def _changes(tried: _Tried) -> tuple[list[Reason], int | None]:
    """Return what was done to the picture, and to which of the two."""
    best, (ours, theirs) = tried.comparison, tried.greys
    reasons = []
    changed = None
    if tried.way % _MIRRORED_FROM:
        reasons.append(Reason.TURNED)
    if tried.way >= _MIRRORED_FROM:
        reasons.append(Reason.MIRRORED)
    outside = (_outside(ours, best.frame), _outside(theirs, _seen_from(best.frame)))
    reasons += [one for one in outside if one is not None]
    if (outside[0] is None) != (outside[1] is None):
        more = 0 if outside[0] is not None else 1
        changed = 1 - more if outside[more] is Reason.CROP else more
    if best.differing > _UNCHANGED_DIFFERING:
        reasons.append(Reason.RETOUCHED)
    return reasons, changed


def _seen_from(frame: Rect) -> Rect:
    """Return where the first picture lies in the second, if that lies at ``frame`` in the first."""
    down, across = frame[1] - frame[0], frame[3] - frame[2]
    return -frame[0] / down, (1 - frame[0]) / down, -frame[2] / across, (1 - frame[2]) / across


def _outside(image: npt.NDArray[np.uint8], rect: Rect) -> Reason | None:
    """Return what surrounds a rectangle: one colour, words on one colour, or more of the picture."""
    if max(rect[0], 1 - rect[1], rect[2], 1 - rect[3]) < _LEAST_OUTSIDE:
        return None
    height, width = image.shape
    top, bottom = int((rect[0] - _SLACK) * height), int(np.ceil((rect[1] + _SLACK) * height))
    left, right = int((rect[2] - _SLACK) * width), int(np.ceil((rect[3] + _SLACK) * width))
    strips = [image[: max(top, 0)], image[bottom:], image[:, : max(left, 0)], image[:, right:]]
    strips = [strip for strip in strips if strip.size]
    if not strips or all(strip.std() <= _EVEN_DEVIATION for strip in strips):
        return Reason.BORDER
    ground = [float((np.abs(strip - np.median(strip)) <= _NEAR_GROUND).mean()) for strip in strips]
    return Reason.CAPTION if min(ground) >= _LEAST_GROUND else Reason.CROP


def _file_changes(one: Facts | None, other: Facts | None) -> list[Reason]:
    if one is None or other is None:
        return []
    reasons = []
    if {one.width_px, one.height_px} != {other.width_px, other.height_px}:
        reasons.append(Reason.RESIZED)
    if one.format != other.format:
        reasons.append(Reason.FORMAT)
    return reasons


class _RecentImages:
    """The thumbnails used last, mirrored and turned, prepared for comparison."""

    _MOST = 500  # of about 350 KB

    def __init__(self, thumbnail: Callable[[int], Thumbnail | None]) -> None:
        self._thumbnail = thumbnail
        self._kept: OrderedDict[tuple[int, int], _Prepared | None] = OrderedDict()

    def get(self, content_id: int, way: int) -> _Prepared | None:
        key = content_id, way
        if key not in self._kept:
            self._kept[key] = self._prepared(content_id, way)
            if len(self._kept) > self._MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _prepared(self, content_id: int, way: int) -> _Prepared | None:
        if way:
            upright = self.get(content_id, 0)
            return None if upright is None else upright.oriented(way)
        image = self._thumbnail(content_id)
        return None if image is None else _Prepared.of(image)


def _nearest(found: dict[tuple[int, int], list[Alignment]]) -> dict[tuple[int, int], list[Alignment]]:
    """Return for each content the pairs with its nearest partners, so that work and memory are bounded."""
    partners: dict[int, list[int]] = defaultdict(list)
    for one, other in found:
        partners[one].append(other)
    return {
        (one, other): found[one, other]
        for one, others in partners.items()
        for other in sorted(others, key=lambda id_: (found[one, id_][0].bits, id_))[:_MOST_PARTNERS]
    }


def _fractions(steps: npt.NDArray[np.uint16]) -> Rect:
    top, bottom, left, right = (int(one) / RECT_STEPS for one in steps)
    return top, bottom, left, right


def _turned_rect(rect: Rect, way: int) -> Rect:
    top, bottom, left, right = rect
    if way >= _MIRRORED_FROM:
        left, right = 1 - right, 1 - left
    for _ in range(way % _MIRRORED_FROM):
        top, bottom, left, right = 1 - right, 1 - left, top, bottom
    return top, bottom, left, right
