"""Where a number of an answer in JSON has as many digits as it may have."""

from __future__ import annotations

import pytest

from smallsight.engine.decoding.digit_limit import MAX_DIGITS, DigitLimit

MANY = "1" * MAX_DIGITS


@pytest.mark.parametrize(
    ("written", "is_reached"),
    [
        (MANY, True),
        (MANY[1:], False),
        (f"-{MANY}", True),
        (f"[{MANY},{MANY}", True),
        (f"{MANY}.", False),
        (f"0.{MANY}", True),
        (f"1e{MANY[1:]}", False),
        (f'"{MANY}', False),
        (f'"\\"{MANY}', False),
        (f'"\\\\":{MANY}', True),
        (f'{{"a{MANY}":{MANY}', True),
    ],
)
def test_digits_are_counted_outside_strings(written: str, is_reached: bool):
    for num_bytes in (1, 3, 1000):  # tokens of a byte, of several, and all at once
        limit = DigitLimit()
        for begin in range(0, len(written), num_bytes):
            limit.add(written[begin : begin + num_bytes].encode())
        assert limit.is_reached is is_reached
