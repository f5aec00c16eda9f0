"""Ends the numbers of an answer in JSON: a small model may write digits until its tokens are spent.

The grammar library allows a number of any length unless its schema has bounds. llama.cpp's grammars allow 16
digits before the dot and as many after it; here it is what an unsigned 64-bit number needs.
"""

from __future__ import annotations

MAX_DIGITS = 20  # in a row; a number has up to three rows: before the dot, after it, and in its exponent


class DigitLimit:
    """Follows one answer byte by byte, outside its strings."""

    def __init__(self) -> None:
        self._is_in_string = False
        self._is_escaped = False
        self._num_digits = 0

    @property
    def is_reached(self) -> bool:
        """Whether the answer ends with as many digits as may follow one another."""
        return self._num_digits >= MAX_DIGITS

    def add(self, data: bytes) -> None:
        """Follow more of the answer."""
        for byte in data:
            if self._is_in_string:
                if self._is_escaped:
                    self._is_escaped = False
                elif byte == ord("\\"):
                    self._is_escaped = True
                elif byte == ord('"'):
                    self._is_in_string = False
            elif ord("0") <= byte <= ord("9"):
                self._num_digits += 1
            else:
                self._num_digits = 0
                self._is_in_string = byte == ord('"')
