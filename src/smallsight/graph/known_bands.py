"""The file in the data folder that stores the row bands measured on this machine.

Reading it needs no runtime, so a command can report batch independence without loading one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smallsight.graph.machine_measurements import (
    is_of_this_machine,
    machine_key,
    read_measurements,
    write_measurements,
)
from smallsight.policy.log import get_logger
from smallsight.policy.row_bands import RowBands

log = get_logger(__name__)

_STATE_NAME = "row-bands.json"
_PROBE = 2  # another one measures again


@dataclass(frozen=True, slots=True)
class RowProbe:
    """The row counts at which results change, and whether results depend on nothing else.

    ``holds`` is False where a row's bits depend on its position in the call or on the values of other rows:
    then no grouping makes answers independent of the batch.
    """

    bands: RowBands = field(default_factory=RowBands)
    holds: bool = True

    def joined(self, other: RowProbe) -> RowProbe:
        """Return the bands that hold for the products of both."""
        return RowProbe(self.bands.joined(other.bands), self.holds and other.holds)


def batch_independence(prepared_dir: Path) -> bool | None:
    """Return whether greedy answers are independent of the batch on this machine; None before a probe."""
    found = [
        probe.holds
        for key, rows in read_measurements(prepared_dir / _STATE_NAME).items()
        if is_of_this_machine(key)
        for probe in _probes(rows).values()
    ]
    return all(found) if found else None


def read_bands(prepared_dir: Path, threads: int, tuning: Mapping[str, str | int]) -> dict[str, RowProbe]:
    """Return this machine's measurements for these options, by form and shape; none from a damaged file."""
    return _probes(read_measurements(prepared_dir / _STATE_NAME).get(bands_key(threads, tuning), {}))


def write_bands(
    prepared_dir: Path, threads: int, tuning: Mapping[str, str | int], known: Mapping[str, RowProbe]
) -> None:
    """Store measurements; a failure is logged, and the next load measures again."""
    rows = {
        name: {"starts": list(one.bands.starts), "holds": one.holds} for name, one in sorted(known.items())
    }
    write_measurements(prepared_dir / _STATE_NAME, bands_key(threads, tuning), rows)


def bands_key(threads: int, tuning: Mapping[str, str | int]) -> str:
    """Return a key of what determines a product apart from the matrix: machine, threads and options."""
    return machine_key(threads, {**tuning, "probe": _PROBE})


def _probes(rows: object) -> dict[str, RowProbe]:
    try:
        return {
            str(name): RowProbe(RowBands(tuple(int(start) for start in row["starts"])), bool(row["holds"]))
            for name, row in rows.items()  # type: ignore[attr-defined]  # checked by the exception below
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("row_bands_unusable", why=str(error), action="measuring again")
        return {}
