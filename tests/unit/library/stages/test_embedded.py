"""Images of contents are embedded several at once, and contents leave in their order."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from itertools import count

import numpy as np
import pytest

from clocks import GENEROUS_S
from smallsight.library.ledger import Task
from smallsight.library.opened_content import OpenedContent
from smallsight.library.stages.embedded import embedded


class BySide:
    """Embeds an image as its width; with ``together`` two calls have to come at once."""

    key = "side-1"
    num_at_once = 2

    def __init__(self, *, together: bool = False) -> None:
        self.widths: list[int] = []
        self._meeting = threading.Barrier(2) if together else None

    def embed_pictures(self, pictures: Sequence[np.ndarray], /) -> np.ndarray:
        if self._meeting is not None:
            self._meeting.wait(GENEROUS_S)
        (image_HWC,) = pictures
        width = image_HWC.shape[1]
        if width == 13:
            raise MemoryError
        self.widths.append(width)
        return np.array([[width]], np.float32)


def contents(number: int) -> list[OpenedContent]:
    return [OpenedContent(Task(one, f"{one:064x}", {})) for one in range(number)]


def image_of_width(width: int) -> np.ndarray:
    return np.zeros((1, width, 3), np.uint8)


def images_of(content: OpenedContent) -> list[np.ndarray]:
    """The content with the number n has n images, but for each third, which has none."""
    number = content.task.content_id
    return [] if number % 3 == 0 else [image_of_width(10 * number + one) for one in range(1, number + 1)]


def test_contents_leave_in_their_order_with_the_vectors_of_their_images():
    found = list(embedded(iter(contents(6)), BySide(), images_of))
    assert [content.task.content_id for content, _, _ in found] == list(range(6))
    values = [[int(vector_D[0]) for vector_D in vectors] for _, vectors, _ in found]
    assert values == [[], [11], [21, 22], [], [41, 42, 43, 44], [51, 52, 53, 54, 55]]
    assert all((seconds > 0) == bool(vectors) for _, vectors, seconds in found)


def test_two_images_of_a_single_content_are_embedded_at_once():
    content = contents(1)
    pair = [image_of_width(5), image_of_width(6)]
    ((_, vectors, _),) = embedded(iter(content), BySide(together=True), lambda _: pair)
    assert [int(one[0]) for one in vectors] == [5, 6]


def test_no_more_contents_are_taken_than_are_embedded_at_once():
    taken = count()

    def counted():
        for content in contents(9):
            next(taken)
            yield content

    with closing(embedded(counted(), BySide(), images_of)) as running:
        next(running)
        assert next(taken) == 2


def test_an_error_of_the_model_is_raised():
    unlucky = [image_of_width(13)]
    with pytest.raises(MemoryError):
        list(embedded(iter(contents(2)), BySide(), lambda _: unlucky))
