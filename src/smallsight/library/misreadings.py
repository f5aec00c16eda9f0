"""Tells lines that OCR made of icons, gradients and keys from real lines of one or two characters."""

from __future__ import annotations

from collections.abc import Sequence

from smallsight.reading.text_line import TextLine

_MAX_SHORT = 2  # letters and digits
_SURE = 0.8  # confidence from which a short line is taken for real
_SURE_OF_IDEOGRAPH = 0.98  # where nothing else in the picture is Chinese or Japanese: icons look like them


def without_misreadings(lines: Sequence[TextLine]) -> list[TextLine]:
    """Return the lines without those of one or two characters that are likely no text."""
    long_texts = [line.text for line in lines if len(_letters(line.text)) > _MAX_SHORT]
    has_ideographs = any(map(_has_ideograph, long_texts))
    return [line for line in lines if not _is_misreading(line, has_ideographs=has_ideographs)]


def is_too_short_to_mean(text: str) -> bool:
    """Return whether a text has too few letters and digits for an embedder to make sense of it."""
    return len(_letters(text)) <= _MAX_SHORT


def _is_misreading(line: TextLine, *, has_ideographs: bool) -> bool:
    letters = _letters(line.text)
    if len(letters) > _MAX_SHORT:
        return False
    if not letters:
        return len(line.text.replace(" ", "")) <= _MAX_SHORT + 1
    least = _SURE_OF_IDEOGRAPH if _has_ideograph(letters) and not has_ideographs else _SURE
    return line.confidence < least


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _has_ideograph(text: str) -> bool:
    return any("\u3041" <= character <= "\u9fff" for character in text)
