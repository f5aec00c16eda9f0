"""Reads images of lines, each alone: a line's reading cannot depend on the others.

An image is padded to a width that follows from its own. A batch would be no faster on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from smallsight.reading.class_steps import ClassSteps, StepClassifier
from smallsight.reading.network_calls import ReadLine
from smallsight.reading.ocr_networks import BLANK, OcrNetworks
from smallsight.reading.shared_calls import SharedCalls

__all__ = ["NOTHING", "LineReading", "LineRecogniser", "decoded", "line_parts", "padded_line"]

_GREY = 127
# Each further width takes 15 MB of memory.
_WIDTHS_PX = (96, 160, 224, 304, 400, 544, 768, 1_056)
_PART_PX = 1_000  # of a line that is longer than the last of them
_CUT_WITHIN_PX = 200
_GAP_DEVIATION = 12.0  # of a column's pixels, where a line may be cut
_SPACE = 0.05  # probability from which a gap between two characters is a space
_SPACE_OF_CAPITALS = 0.006  # between two capitals; inside words it is below 0.003

_NO_SPACE_BEFORE = frozenset(" ,.;:!?)]}")  # unless the network itself reads one


@dataclass(frozen=True, slots=True)
class LineReading:
    """What the recogniser read; the confidence is the mean of the characters' probabilities."""

    text: str
    confidence: float


NOTHING = LineReading("", 0.0)


class LineRecogniser:
    """Runs the recognition network, one line after another; not thread-safe."""

    def __init__(self, networks: OcrNetworks) -> None:
        self._characters = networks.characters
        self._calls: SharedCalls[ReadLine] = SharedCalls(networks.read_line)
        self._others = ThreadPoolExecutor(max(1, len(networks.read_line) - 1))  # starts none before needed
        self._new_classifier = partial(
            StepClassifier, networks.few_F, networks.num_common, networks.every_class
        )
        self._classifier = self._new_classifier()

    def twin(self) -> LineRecogniser:
        """Return a recogniser that may be used at the same time; they share the network's calls."""
        other = copy(self)
        other._classifier = self._new_classifier()  # noqa: SLF001 - the twin's own
        return other

    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[LineReading]:
        """Return the readings of uint8 RGB images [48, W, 3]."""
        if not images:
            return []
        parts = [line_parts(image) for image in images]
        steps = iter(self._steps([one for line in parts for one in line]))
        lines = [[next(steps) for _ in line] for line in parts]
        self._classifier.settle()
        return [_joined([decoded(part, self._characters) for part in line]) for line in lines]

    def _steps(self, images: Sequence[NDArray[np.uint8]]) -> list[ClassSteps]:
        """Return the steps of images, which threads take one after another, the widest first.

        Threads that help stop as soon as another picture waits for what they use.
        """
        found: dict[int, ClassSteps] = {}
        waiting = iter(sorted(range(len(images)), key=lambda index: -images[index].shape[1]))

        def work(call: ReadLine, may_go_on: Callable[[], bool]) -> None:
            while may_go_on() and (index := next(waiting, None)) is not None:
                found[index] = self._classifier.steps(*call(padded_line(images[index])))

        def help_out(call: ReadLine) -> None:
            try:
                work(call, lambda: not self._calls.is_wanted)
            finally:
                self._calls.give_back(call)

        others: list[Future[None]] = []
        with self._calls.one() as own:
            while len(others) < len(images) - 1 and (spare := self._calls.spare()) is not None:
                others.append(self._others.submit(help_out, spare))
            work(own, lambda: True)
        for other in others:
            other.result()
        return [found[index] for index in range(len(images))]


def decoded(found: ClassSteps, characters: Sequence[str]) -> LineReading:
    """Return the text of CTC's classes: repetitions count once, blanks separate.

    Between two characters that are no spaces, a likely space that lost against a blank is taken.
    """
    classes_T = found.classes_T
    is_new_T = classes_T != BLANK
    is_new_T[1:] &= classes_T[1:] != classes_T[:-1]
    steps = np.flatnonzero(is_new_T)
    if not len(steps):
        return NOTHING
    text = characters[classes_T[steps[0]]]
    for before, step in pairwise(steps):
        character = characters[classes_T[step]]
        if character not in _NO_SPACE_BEFORE and not text.endswith(" "):
            are_capitals = character.isupper() and text[-1:].isupper()
            least = _SPACE_OF_CAPITALS if are_capitals else _SPACE
            if found.spaces_T[before + 1 : step].max(initial=0.0) >= least:
                text += " "
        text += character
    return LineReading(text.strip(), float(found.probabilities_T[steps].mean()))


def padded_line(image_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the network's input for one line, [48, W, 3]; its width follows from the line's own."""
    width_px = image_HWC.shape[1]
    padded_px = next(one for one in _WIDTHS_PX if one >= width_px)
    padded_HWC = np.full((image_HWC.shape[0], padded_px, 3), _GREY, np.uint8)
    padded_HWC[:, :width_px] = image_HWC
    return padded_HWC


def line_parts(image_HWC: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return a line, cut between words where it is too long."""
    parts = []
    while image_HWC.shape[1] > _WIDTHS_PX[-1]:
        deviation_W = image_HWC[:, _PART_PX - _CUT_WITHIN_PX : _PART_PX].astype(np.float32).std((0, 2))
        cut_px = (
            _PART_PX - _CUT_WITHIN_PX + _middle_of_longest(deviation_W <= deviation_W.min() + _GAP_DEVIATION)
        )
        parts.append(image_HWC[:, :cut_px])
        image_HWC = image_HWC[:, cut_px:]
    return [*parts, image_HWC]


def _middle_of_longest(is_gap_W: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(is_gap_W.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[0::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest] + ends[longest]) // 2


def _joined(parts: Sequence[LineReading]) -> LineReading:
    if len(parts) == 1:
        return parts[0]
    read = [part for part in parts if part.text]
    if not read:
        return NOTHING
    num_chars = sum(len(part.text) for part in read)
    confidence = sum(part.confidence * len(part.text) for part in read) / num_chars
    return LineReading(" ".join(part.text for part in read), confidence)
