"""Reads all text of a picture: finds its lines, reads each, the doubtful ones again, and orders them.

Lines that are read with little confidence are read again upside down and at other widths, tall ones also
upwards and as they stand; the best reading counts. Where most lines turn out to be turned, so is the page,
and the others are read that way as well. What the other widths do not support is no text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.machine.memory import trim_heap
from smallsight.reading.icons import without_icons
from smallsight.reading.line_images import line_corners, line_image
from smallsight.reading.line_recogniser import NOTHING, LineReading, LineRecogniser
from smallsight.reading.ocr_networks import load_ocr_networks
from smallsight.reading.reading_order import in_reading_order
from smallsight.reading.shared_calls import PicturesDetector
from smallsight.reading.support import is_settled, is_supported, is_unread_text, num_letters, support
from smallsight.reading.text_detector import TextDetector
from smallsight.reading.text_line import TextLine
from smallsight.reading.text_regions import TextRegion
from smallsight.reading.text_search import TextSearch

__all__ = ["LineAttempt", "PictureReader", "TriedLine", "explains_region", "handicap_of"]

_MIN_CONFIDENCE = 0.5
_READABLE = 0.75  # a reading that explains what is in its region
_HUGE_PX = 160.0  # height of a region that may be a whole screen of text, whose reading has to be sure
_SURE = 0.9  # a reading that is not read again
_CERTAIN = 0.975  # the same for small letters, of which every second line below it lacks one
_SMALL_LETTERS_PX = 32.0  # height of their region
_SMALLEST_SIDE_PX = 4  # no letter is smaller
_TALL = 1.5  # height over width from which a region is taken for turned text
_LONG_TEXT = 3  # characters from which a reading says which way the page is turned
_SHORT_TEXT = 2  # letters, which icons and textures are taken for
_SURE_OF_SHORT_TEXT = 0.97
_TURNS_TEXT, _TURNS_SHORT_TEXT = 0.15, 0.3  # more confidence than upright: 6 € upside down is 39
_FULLER = 1.5  # times the letters, if certain, which upside down are few and far between
_LETTERS_OF_A_PAGE = 12  # of sure lines, which say that it is upright
_MOSTLY = 0.9  # of them
_OTHER_WIDTHS = (1.25, 0.8)
_LETTER_SEEN = 0.6  # the detector's probability
_LETTERS_IN_A_SQUARE = 1.2  # of a region, which has a margin
_INSIDE = 0.6  # of a line's area: it is part of another one


@dataclass(slots=True, eq=False)
class TriedLine:
    """A region with its best reading so far, the way it reads, and what other widths say of it."""

    region: TextRegion
    turn: int
    reading: LineReading = NOTHING
    support: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class LineAttempt:
    """One more way to read a line."""

    line: TriedLine
    turn: int
    stretch: float = 1.0


class PictureReader:
    """Detects and reads lines of text; not thread-safe, but its twins are. Loading takes about a second."""

    def __init__(self, threads: int, may_use_extension: bool = True) -> None:
        networks = load_ocr_networks(threads, may_use_extension=may_use_extension)
        self._detector = PicturesDetector(networks.find_text, networks.find_text_with, networks.threads)
        self._search = TextSearch(TextDetector(self._detector.for_one_picture()))
        self._recogniser = LineRecogniser(networks)
        trim_heap()  # compiling takes 35 MB more than what it leaves

    def twin(self) -> PictureReader:
        """Return a reader with the same networks, for another picture at the same time."""
        other = copy(self)
        other._search = TextSearch(TextDetector(self._detector.for_one_picture()))  # noqa: SLF001 - its own
        other._recogniser = self._recogniser.twin()  # noqa: SLF001 - its own
        return other

    def read(self, image_HWC: NDArray[np.uint8]) -> list[TextLine]:
        """Return the lines of a uint8 RGB image in reading order, and then those that cannot be read."""
        height_px, width_px = image_HWC.shape[:2]
        if min(height_px, width_px) < _SMALLEST_SIDE_PX:
            return []
        image = Image.fromarray(np.ascontiguousarray(image_HWC))
        del image_HWC  # the last reference, in the child that reads: the image is a copy
        with self._detector.picture():
            return self._read_image(image)

    def _read_image(self, image: Image.Image) -> list[TextLine]:
        width_px, height_px = image.size
        lines: dict[TextRegion, TriedLine] = {}

        def readable(regions: Sequence[TextRegion]) -> list[TextRegion]:
            self._read(image, regions, lines)
            return [region for region in regions if explains_region(lines[region])]

        regions = self._search.regions(image, readable)
        self._read(image, regions, lines)
        kept = [lines[region] for region in regions]
        self._follow_the_page(image, kept)
        self._read_at_other_widths(image, [line for line in kept if _needs_support(line)])
        texts = _text_lines(_without_doubles(kept), width_px, height_px)
        read = without_icons([line for line in texts if line.text])
        return in_reading_order(read, width_px, height_px) + [line for line in texts if not line.text]

    def _read(
        self, image: Image.Image, regions: Sequence[TextRegion], lines: dict[TextRegion, TriedLine]
    ) -> None:
        """Read the regions that are not among the lines yet, and add them."""
        new = [
            TriedLine(region, _likely_turn(region))
            for region in dict.fromkeys(regions)
            if region not in lines
        ]
        self._try(image, [LineAttempt(line, line.turn) for line in new])
        lines |= {line.region: line for line in new}
        is_upright = _is_upright(lines.values())
        turned = [line for line in new if _may_be_turned(line, is_upright=is_upright)]
        self._try(image, [trial for line in turned for trial in _other_turns(line)])

    def _try(self, image: Image.Image, trials: Sequence[LineAttempt]) -> list[LineReading]:
        """Read lines in other ways and return the readings; each line keeps its best one."""
        pixels = [line_image(image, one.line.region, one.turn, one.stretch) for one in trials]
        readings = self._recogniser.read(pixels)
        for trial, reading in zip(trials, readings, strict=True):
            line = trial.line
            if reading.confidence > line.reading.confidence + handicap_of(trial, reading):
                line.turn, line.reading = trial.turn, reading
        return readings

    def _read_at_other_widths(self, image: Image.Image, lines: Sequence[TriedLine]) -> None:
        """Read lines wider and narrower until readings agree, and note how far they do."""
        readings = [[line.reading] for line in lines]
        for stretch in _OTHER_WIDTHS:
            unsettled = [index for index, found in enumerate(readings) if not is_settled(found)]
            others = self._try(
                image, [LineAttempt(lines[index], lines[index].turn, stretch) for index in unsettled]
            )
            for index, other in zip(unsettled, others, strict=True):
                readings[index].append(other)
        for line, found in zip(lines, readings, strict=True):
            line.support = support(found)

    def _follow_the_page(self, image: Image.Image, lines: Sequence[TriedLine]) -> None:
        """Read the lines that stand another way than most of the page as the page stands."""
        votes: Counter[int] = Counter()
        for line in lines:
            if line.reading.confidence >= _MIN_CONFIDENCE and len(line.reading.text) >= _LONG_TEXT:
                votes[line.turn] += len(line.reading.text)
        if not votes:
            return
        turn, weight = votes.most_common(1)[0]
        if weight < 0.6 * votes.total():
            return
        opposite = [line for line in lines if (line.turn - turn) % 4 == 2]
        before = [line.reading for line in opposite]
        for line in opposite:
            line.reading = NOTHING
        self._try(image, [LineAttempt(line, turn) for line in opposite])
        for line, reading in zip(opposite, before, strict=True):
            if line.reading.confidence < min(_MIN_CONFIDENCE, reading.confidence):
                line.turn, line.reading = (turn + 2) % 4, reading


def _likely_turn(region: TextRegion) -> int:
    return 1 if region.height >= _TALL * region.width else 0


def explains_region(line: TriedLine) -> bool:
    """Return whether a reading explains the fine structure in its region, so that it is not searched closer.

    A screen full of small letters, seen as one region, was read as "E E E" with 0.76.
    """
    least = _SURE if line.region.line_height >= _HUGE_PX else _READABLE
    return line.reading.confidence >= least


def _is_doubtful(line: TriedLine) -> bool:
    return line.reading.confidence < _SURE


def _is_hopeless(line: TriedLine) -> bool:
    """Return whether a region is most likely a texture: no more than a letter or two, and hardly those."""
    return line.reading.confidence < _MIN_CONFIDENCE and num_letters(line.reading.text) <= _SHORT_TEXT


def _is_upright(lines: Iterable[TriedLine]) -> bool:
    """Return whether the lines that are sure say that the page is."""
    letters: Counter[int] = Counter()
    for line in lines:
        if line.reading.confidence >= _SURE and len(line.reading.text) >= _LONG_TEXT:
            letters[line.turn] += num_letters(line.reading.text)
    return letters[0] >= max(_LETTERS_OF_A_PAGE, _MOSTLY * letters.total())


def _may_be_turned(line: TriedLine, *, is_upright: bool) -> bool:
    """Return whether a line has to be tried upside down too; on an upright page, only what is no text so."""
    if not _is_doubtful(line) or line.turn % 2 == 1:
        return _is_doubtful(line)
    if is_upright and (line.reading.confidence >= _READABLE or num_letters(line.reading.text) <= _SHORT_TEXT):
        return False
    return not _is_hopeless(line)


def _needs_support(line: TriedLine) -> bool:
    is_short = num_letters(line.reading.text) <= _SHORT_TEXT
    is_small = line.region.line_height < _SMALL_LETTERS_PX
    least = _SURE_OF_SHORT_TEXT if is_short else _CERTAIN if is_small else _SURE
    return line.reading.confidence < least and not _is_hopeless(line)


def handicap_of(trial: LineAttempt, reading: LineReading) -> float:
    """Return how much better a reading has to be that turns a text over which can be read upright."""
    line = trial.line
    if trial.turn == line.turn or line.turn % 2 or line.reading.confidence < _MIN_CONFIDENCE:
        return 0.0
    letters, letters_before = num_letters(reading.text), num_letters(line.reading.text)
    if reading.confidence >= _CERTAIN and letters > max(_SHORT_TEXT, _FULLER * letters_before):
        return 0.0
    return _TURNS_SHORT_TEXT if letters_before <= _SHORT_TEXT else _TURNS_TEXT


def _other_turns(line: TriedLine) -> Iterable[LineAttempt]:
    yield LineAttempt(line, (line.turn + 2) % 4)
    if line.turn % 2 == 1 and line.region.height < 2 * _TALL * line.region.width:
        yield LineAttempt(line, 0)


def _without_doubles(lines: Sequence[TriedLine]) -> list[TriedLine]:
    """Return the lines without those that lie in a line with larger letters that was read better."""
    if not lines:
        return []
    boxes_N4 = np.array([line.region.bounds() for line in lines])
    areas_N = (boxes_N4[:, 2] - boxes_N4[:, 0]) * (boxes_N4[:, 3] - boxes_N4[:, 1])
    confidences_N = np.array([line.reading.confidence for line in lines])
    is_kept_N = np.ones(len(lines), np.bool_)
    for index in np.argsort(-areas_N).tolist():
        left, top, right, bottom = boxes_N4[index]
        common_N = np.clip(np.minimum(boxes_N4[:, 2], right) - np.maximum(boxes_N4[:, 0], left), 0, None)
        common_N *= np.clip(np.minimum(boxes_N4[:, 3], bottom) - np.maximum(boxes_N4[:, 1], top), 0, None)
        inside_N = (common_N > _INSIDE * areas_N) & (areas_N < areas_N[index]) & is_kept_N
        if not inside_N.any() or not is_kept_N[index]:
            continue
        if confidences_N[index] >= confidences_N[inside_N].max() - 0.1:
            is_kept_N &= ~inside_N
        else:
            is_kept_N[index] = False
    return [line for line, is_kept in zip(lines, is_kept_N.tolist(), strict=True) if is_kept]


def _text_lines(lines: Sequence[TriedLine], width_px: int, height_px: int) -> list[TextLine]:
    """Return what could be read, and lines without text for what is text but could not."""
    found = []
    for one in lines:
        box = _corners(line_corners(one.region, one.turn) / (width_px, height_px))
        is_unread = _is_unread(one)
        if _is_text(one) and (num_letters(one.reading.text) or not is_unread):
            found.append(TextLine(one.reading.text, one.reading.confidence, box))
        if is_unread:
            found.append(TextLine("", one.region.probability, box))
    return found


def _is_text(line: TriedLine) -> bool:
    """Return whether a reading is text; the detector too has to see a letter that is alone: O is a ring."""
    is_seen = line.region.probability >= _LETTER_SEEN or num_letters(line.reading.text) != 1
    return is_seen and is_supported(line.reading, line.support)


def _is_unread(line: TriedLine) -> bool:
    region = line.region
    fitting = max(region.width, region.height) / max(1.0, region.line_height) * _LETTERS_IN_A_SQUARE
    return is_unread_text(
        line.reading, line.support, letters_that_fit=fitting, probability=region.probability
    )


def _corners(box_42: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in np.clip(box_42, 0.0, 1.0))
