"""The file in the data folder that stores the row bands measured on this machine.

Reading it needs no runtime, so a command can report batch independence without loading one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SmallsightError
from smallsight.machine.processor import processor, usable_instruction_sets
from smallsight.policy.log import get_logger
from smallsight.policy.row_bands import RowBands

log = get_logger(__name__)

_STATE_NAME = "row-bands.json"
_MOST_MACHINES = 16  # several machines may share a data folder in a home directory


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
    here = _machine()
    found = [
        probe.holds
        for key, rows in _read_all(prepared_dir).items()
        if _same_machine(key, here)
        for probe in _probes(rows).values()
    ]
    return all(found) if found else None


def read_bands(prepared_dir: Path, threads: int, tuning: Mapping[str, str | int]) -> dict[str, RowProbe]:
    """Return this machine's measurements for these options, by form and shape; none from a damaged file."""
    return _probes(_read_all(prepared_dir).get(bands_key(threads, tuning), {}))


def write_bands(
    prepared_dir: Path, threads: int, tuning: Mapping[str, str | int], known: Mapping[str, RowProbe]
) -> None:
    """Store measurements; a failure is logged, and the next load measures again."""
    key = bands_key(threads, tuning)
    rows = {
        name: {"starts": list(one.bands.starts), "holds": one.holds} for name, one in sorted(known.items())
    }
    try:
        with locked_state(prepared_dir / _STATE_NAME):
            state = _read_all(prepared_dir)
            state.pop(key, None)
            for oldest in list(state)[: len(state) - _MOST_MACHINES + 1]:
                del state[oldest]
            state[key] = rows
            write_state(prepared_dir / _STATE_NAME, state)
    except SmallsightError as error:
        log.info("row_bands_not_kept", why=str(error), action="measuring again at the next load")


def bands_key(threads: int, tuning: Mapping[str, str | int]) -> str:
    """Return a key of what determines a product apart from the matrix: machine, threads and options."""
    return json.dumps([*_machine(), threads, dict(tuning)], sort_keys=True)


def _machine() -> list[str]:
    return [metadata.version("openvino"), processor().name, " ".join(usable_instruction_sets())]


def _same_machine(key: str, here: list[str]) -> bool:
    try:
        return bool(json.loads(key)[: len(here)] == here)
    except (TypeError, ValueError):
        return False


def _read_all(prepared_dir: Path) -> dict[str, Any]:
    try:
        return read_state(prepared_dir / _STATE_NAME)
    except SmallsightError as error:
        log.warning("row_bands_unusable", why=str(error), action="measuring again")
        return {}


def _probes(rows: object) -> dict[str, RowProbe]:
    try:
        return {
            str(name): RowProbe(RowBands(tuple(int(start) for start in row["starts"])), bool(row["holds"]))
            for name, row in rows.items()  # type: ignore[attr-defined]  # checked by the exception below
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("row_bands_unusable", why=str(error), action="measuring again")
        return {}
