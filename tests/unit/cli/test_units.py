"""Numbers for people are short and in the unit that people know."""

from __future__ import annotations

import pytest

from smallsight.cli.units import count_text, file_size_text, memory_text


@pytest.mark.parametrize(
    ("num_bytes", "text"), [(0, "0 MiB"), (489 * 1024**2, "489 MiB"), (3676 * 1024**2, "3.6 GiB")]
)
def test_memory(num_bytes, text):
    assert memory_text(num_bytes) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"), [(2_700, "3 kB"), (513_000_000, "513 MB"), (3_854_474_208, "3.9 GB")]
)
def test_files(num_bytes, text):
    assert file_size_text(num_bytes) == text


@pytest.mark.parametrize(
    ("number", "text"), [(6_026_880, "6.0 M"), (256_484_928, "256 M"), (1_927_237_104, "1.93 B")]
)
def test_parameters(number, text):
    assert count_text(number) == text
