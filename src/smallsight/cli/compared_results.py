"""``smallsight validate --compare OLD NEW``: what changed between two stored results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallsight.cli.output import Output
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.validation.comparing_results import ResultComparison

REGRESSION = 13  # exit code


def compare_files(old: Path, new: Path, out: Output) -> int:
    """Print the comparison of two JSON files; return 0, or ``REGRESSION`` if the new one is worse."""
    from smallsight.validation.comparing_results import compare_results, read_result

    found = compare_results(read_result(old.expanduser()), read_result(new.expanduser()))
    if out.json:
        out.emit(comparison_as_json(found))
    else:
        _print_comparison(out, found)
    return REGRESSION if found.is_regression else 0


def comparison_as_json(found: ResultComparison) -> dict[str, Any]:
    """Return the comparison as the documented JSON object."""
    return {
        "old": found.old_name,
        "new": found.new_name,
        "is_paired": found.is_paired,
        "is_regression": found.is_regression,
        "notes": list(found.notes),
        "changes": [
            {
                "label": one.label,
                "before": one.before,
                "after": one.after,
                "change": one.change,
                "trend": one.trend.value,
                "counts": one.counts,
            }
            for one in found.changes
        ],
    }


def _print_comparison(out: Output, found: ResultComparison) -> None:
    from rich.text import Text

    from smallsight.cli.table import Column, ListRow, print_table
    from smallsight.validation.comparing_results import Trend

    styles = {Trend.BETTER: "green", Trend.WORSE: "red"}
    numbers = (Column(name, is_number=True) for name in ("Old", "New", "Change"))
    columns = (Column(""), *numbers, Column("Trend"))
    rows = [
        ListRow(
            (
                one.label,
                one.before,
                one.after,
                one.change,
                Text(one.trend.value, styles.get(one.trend, "dim")),
            )
        )
        for one in found.changes
    ]
    names = dict.fromkeys((found.old_name, found.new_name))
    out.console.print(" and then ".join(on_one_line(name) for name in names), style="bold", markup=False)
    print_table(out, columns, rows)
    for note in found.notes:
        out.note(note)
    if found.is_regression:
        labels = ", ".join(one.label for one in found.regressions)
        out.console.print(f"Regression: {labels}.", style="red", markup=False)
    else:
        out.console.print("No regression.", markup=False)
