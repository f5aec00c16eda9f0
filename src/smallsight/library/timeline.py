"""Counts the pictures of each month, and finds where a month begins among the pictures, newest first."""

from __future__ import annotations

from typing import NamedTuple

from smallsight.library.database import Database
from smallsight.library.search.query import Query
from smallsight.library.search.sqlite.facet_filters import Parameter
from smallsight.library.search.sqlite.matching import facets_where
from smallsight.library.search.text_index import NO_FILTERS, Condition

__all__ = ["MonthCount", "month_offset", "months"]


class MonthCount(NamedTuple):
    """A month, 1 to 12, and how many pictures were taken in it."""

    year: int
    month: int
    num_pictures: int


def months(database: Database, query: Query = NO_FILTERS) -> list[MonthCount]:
    """Return the months that have pictures which pass the filters and minus words of a query, newest first.

    The words that a query looks for do not count here.
    """
    condition = Condition(query=query)
    statement, parameters = (
        "SELECT month, num_contents FROM month_count ORDER BY month DESC",
        list[Parameter](),
    )
    if query.is_filtered:
        kept, parameters = facets_where(condition)
        statement = f"SELECT month, count(*) FROM facet WHERE {kept} GROUP BY month ORDER BY month DESC"  # noqa: S608
    with database.cursor() as cursor:
        rows = cursor.execute(statement, parameters).fetchall()
    return [MonthCount(number // 12, number % 12 + 1, num_pictures) for number, num_pictures in rows]


def month_offset(database: Database, year: int, month: int, query: Query = NO_FILTERS) -> int:
    """Return how many pictures come before those of a month in the order of ``Sort.NEWEST``."""
    return sum(one.num_pictures for one in months(database, query) if (one.year, one.month) > (year, month))
