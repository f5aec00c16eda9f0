"""Turns the filters of a query that concern facets into SQL; values are parameters, never parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from smallsight.library.search.date_words import DateSpan
from smallsight.library.search.query import FacetFilters

__all__ = ["Parameter", "facet_condition"]

Parameter: TypeAlias = int | float | str


def facet_condition(facets: FacetFilters) -> tuple[str, list[Parameter]]:
    """Return a condition on rows of ``facet``, and its parameters; "1" if nothing is asked."""
    parts: list[str] = []
    parameters: list[Parameter] = []

    def add(condition: str, *values: Parameter) -> None:
        parts.append(condition)
        parameters.extend(values)

    for span in facets.spans:
        add(*_within([span]))
    if facets.any_span:
        add(*_within(facets.any_span))
    for span in facets.excluded_spans:
        condition, *values = _within([span])
        add(f"NOT {condition}", *values)
    if facets.kinds:
        add(f"kind IN ({_marks(facets.kinds)})", *facets.kinds)
    if facets.excluded_kinds:
        add(f"kind NOT IN ({_marks(facets.excluded_kinds)})", *facets.excluded_kinds)
    for word in facets.cameras:
        add("instr(camera, ?) > 0", f" {word} ")
    for words in facets.excluded_cameras:
        every = words.split()
        held = " AND ".join(["instr(camera, ?) > 0"] * len(every))
        add(f"NOT ({held})", *(f" {word} " for word in every))
    for state, is_so in facets.states:
        add(f"{state.value} = ?", int(is_so))
    return " AND ".join(parts) or "1", parameters


def _within(spans: Sequence[DateSpan]) -> tuple[str, *tuple[Parameter, ...]]:
    """Return the condition that a date is in one of these spans, followed by its parameters."""
    parts: list[str] = []
    values: list[Parameter] = []
    for span in spans:
        ends = (("date_wall_s >= ?", span.start_s), ("date_wall_s < ?", span.end_s))
        parts.append(" AND ".join(condition for condition, end in ends if end is not None) or "1")
        values += [end for _, end in ends if end is not None]
    return f"({' OR '.join(parts)})", *values


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
