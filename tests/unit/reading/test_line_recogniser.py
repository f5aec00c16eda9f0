"""Reading lines with the real network: alone or in company, short or longer than the network takes."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from smallsight.reading.class_steps import steps_of
from smallsight.reading.line_recogniser import LineRecogniser, decoded
from smallsight.reading.ocr_networks import load_ocr_networks

TEXTS = [
    "harbor",
    "a walnut tree in the old garden",
    "No. 17",
    "b",
    "MONDAY AGAIN",
    "the ferry leaves at 9:45 from pier 3",
]


@pytest.fixture(scope="module")
def recogniser() -> LineRecogniser:
    pytest.importorskip("rapidocr")
    return LineRecogniser(load_ocr_networks(2))


def line(text: str) -> np.ndarray:
    face = ImageFont.load_default(size=34)
    image = Image.new("RGB", (int(face.getlength(text)) + 20, 48), "white")
    ImageDraw.Draw(image).text((10, 24), text, "black", face, anchor="lm")
    return np.asarray(image)


def test_a_reading_does_not_depend_on_the_other_lines(recogniser: LineRecogniser):
    alone = [recogniser.read([line(text)])[0] for text in TEXTS]
    assert [reading.text for reading in alone] == TEXTS
    assert recogniser.read([line(text) for text in TEXTS]) == alone
    chance = random.Random(0)
    for _ in range(3):
        order = [chance.randrange(len(TEXTS)) for _ in range(9)]
        assert recogniser.read([line(TEXTS[index]) for index in order]) == [alone[index] for index in order]


def test_a_line_longer_than_the_network_takes_is_cut_between_words(recogniser: LineRecogniser):
    text = " ".join(TEXTS[1:2] * 2 + ["and"] + TEXTS[5:] * 3)
    long_line = line(text)
    assert long_line.shape[1] > 1_056
    (reading,) = recogniser.read([long_line])
    assert reading.text == text
    assert reading.confidence > 0.9


def test_nothing_is_read_in_nothing(recogniser: LineRecogniser):
    assert recogniser.read([]) == []
    (reading,) = recogniser.read([np.full((48, 200, 3), 200, np.uint8)])
    assert (reading.text, reading.confidence) == ("", 0.0)


def test_other_scripts_that_the_network_knows(recogniser: LineRecogniser):
    """The classes and the characters belong together to the end of the list."""
    assert recogniser._characters[-1] == " "  # noqa: SLF001 - what the last class means
    assert len(set(recogniser._characters)) == len(recogniser._characters)  # noqa: SLF001 - none is shifted


def classes(*steps: dict[int, float]) -> np.ndarray:
    classes_TC = np.zeros((len(steps), 6), np.float32)
    for step, found in enumerate(steps):
        for index, probability in found.items():
            classes_TC[step, index] = probability
    return classes_TC


@pytest.mark.parametrize(
    ("likely", "second", "expected"),
    [(0.01, "B", "A B"), (0.002, "B", "AB"), (0.01, "c", "Ac"), (0.1, "c", "A c"), (0.4, ":", "A:")],
)
def test_a_space_that_lost_against_a_blank_counts_between_letters(likely: float, second: str, expected: str):
    characters = ("", "A", "B", ":", "c", " ")
    gap = {0: 1.0 - likely, 5: likely}
    found = decoded(steps_of(classes({1: 1.0}, gap, {characters.index(second): 1.0})), characters)
    assert found.text == expected
