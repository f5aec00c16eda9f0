"""Budgets of memory as people write them."""

from __future__ import annotations

import pytest

from smallsight.errors import SettingsError
from smallsight.validation.budget import parse_budget


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("400MB", 400_000_000), ("1.5 GiB", 1_610_612_736), ("40%", 400), (" 250.5 % ", 2505), ("12kb", 12_000)],
)
def test_sizes_and_shares_are_read(text, num_bytes):
    assert parse_budget(text).bytes_of(1_000) == num_bytes


@pytest.mark.parametrize("text", ["", "lots", "400", "-1MB", "0 %", "4 apples", "1e3MB"])
def test_everything_else_has_one_sentence(text):
    with pytest.raises(SettingsError, match="is not a budget for memory") as error:
        parse_budget(text)
    assert error.value.hint == "write 400MB, 1.5GiB or 40%."
