"""How long a model stays loaded, as clients write it."""

from __future__ import annotations

import pytest

from smallsight.errors import BadRequestError
from smallsight.lending.resident_models import FOREVER_S
from smallsight.ollama.keep_alive import keep_alive_s


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (0, 0),
        ("0", 0),
        ("0s", 0),
        (300, 300),
        (1.5, 1.5),
        ("300", 300),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("250ms", 0.25),
        (" 10s ", 10),
        (-1, FOREVER_S),
        ("-1", FOREVER_S),
        ("-1m", FOREVER_S),
    ],
)
def test_every_form_of_a_duration(given: float | str | None, expected: float | None):
    assert keep_alive_s(given) == expected


@pytest.mark.parametrize("given", ["soon", "", "5 m", "5mm", "m", "5d", "--5m", "1e9s", "9" * 500, "1s" * 99])
def test_no_duration_is_a_sentence(given: str):
    with pytest.raises(BadRequestError, match="keep_alive cannot be"):
        keep_alive_s(given)


def test_a_long_time_is_bounded():
    assert keep_alive_s("999999999999h") == keep_alive_s(1e12) == 10 * 365 * 24 * 3600
