"""The page for planning: its costs follow from its formula, and every benchmark that it names is there."""

import re

import pytest

from contract.checkout import ROOT, assert_none

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def table_below(heading):
    """Return the rows of the first table below a heading, as lists of cells, without its head."""
    section = PAGE[PAGE.index(f"## {heading}\n") :]
    lines = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def number(cell):
    return float(cell.replace(",", ""))


RATES = [number(row[1]) for row in table_below("How fast pictures are taken in")[:3]]


@pytest.mark.parametrize("row", table_below("What a million pictures cost"), ids=lambda row: row[0])
def test_a_cost_is_the_price_of_an_hour_times_the_hours(row):
    _, price, cores, *costs = row
    for rate, cost in zip(RATES, costs, strict=True):
        expected = number(price) * 1e6 / (3600 * rate * number(cores))
        assert number(cost) == pytest.approx(expected, rel=0.01, abs=0.005)


def test_benchmarks_that_the_page_names_exist():
    named = set(re.findall(r"[a-z_]+\.py\b", PAGE))
    assert len(named) >= 5
    assert_none(
        "it is in benchmarks/", [name for name in named if not (ROOT / "benchmarks" / name).is_file()]
    )
