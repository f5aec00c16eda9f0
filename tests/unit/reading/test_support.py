"""What other widths say of a doubtful reading, and which lines are text that cannot be read."""

from __future__ import annotations

import pytest

from smallsight.reading.line_recogniser import NOTHING, LineReading
from smallsight.reading.support import is_settled, is_supported, is_unread_text, support


def test_readings_that_agree_support_one_another():
    agreeing = support([LineReading(text, 0.8) for text in ("main road", "mainroad", "main road")])
    assert agreeing == pytest.approx(0.8)
    assert support([LineReading("Mn1", 0.54), LineReading("9m", 0.4), NOTHING]) < 0.2
    assert support([LineReading("8", 0.98), LineReading("8", 0.3), LineReading("3", 0.6)]) < 0.5


def test_readings_that_agree_clearly_need_no_third():
    def settled(*readings: tuple[str, float]) -> bool:
        return is_settled([LineReading(*reading) for reading in readings])

    assert settled(("main road", 0.88), ("mainroad", 0.9))
    assert not settled(("main road", 0.88))
    assert not settled(("main road", 0.8), ("main road", 0.82))
    assert not settled(("main road", 0.95), ("main roab", 0.97))


@pytest.mark.parametrize(
    ("text", "confidence", "found_support", "expected"),
    [
        ("harbor lantern", 0.99, 1.0, True),
        ("harbour lanterm", 0.6, 0.55, True),
        ("a rn 8 l eu", 0.6, 0.3, False),
        ("9 \u20ac", 0.93, 0.95, True),
        ("000", 0.8, 0.75, False),  # a row of rings
        ("O O O O", 0.913, 0.85, False),  # the same
        ("11", 0.999, 0.99, True),
        ("071V D17V", 0.767, 0.505, False),  # Hebrew
        ("glassier decree limes", 0.997, 0.528, True),
        ("8", 0.89, 0.9, False),
        ("0719 0170", 0.86, 0.76, False),  # Hebrew
        ("0719 0170", 0.95, 0.9, True),
        ("A410 <140", 0.77, 0.716, False),  # Hebrew
        ("A410 140", 0.93, 0.716, True),
        ("", 0.0, 1.0, False),
        ("\u30ed7I\u30f3 \u30ed", 0.7, 0.7, False),  # Hebrew
        ("\u7b2c3\u7ae0 abc", 0.95, 1.0, True),
    ],
)
def test_what_is_text(text: str, confidence: float, found_support: float, *, expected: bool):
    assert is_supported(LineReading(text, confidence), found_support) is expected


@pytest.mark.parametrize(
    ("text", "confidence", "letters_that_fit", "probability", "expected"),
    [
        ("", 0.96, 11.0, 0.8, True),  # spaces: Cyrillic
        ("45 .", 0.94, 11.0, 0.87, True),
        ("", 0.0, 5.0, 0.84, True),  # Arabic
        ("", 0.0, 11.0, 0.6, False),  # a texture
        ("", 0.96, 2.0, 0.9, False),  # one letter
        ("harbor lantern", 0.98, 14.0, 0.9, False),
    ],
)
def test_what_cannot_be_read(
    text: str, confidence: float, letters_that_fit: float, probability: float, *, expected: bool
):
    reading = LineReading(text, confidence)
    found = is_unread_text(reading, 1.0, letters_that_fit=letters_that_fit, probability=probability)
    assert found is expected
