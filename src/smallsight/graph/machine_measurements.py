"""A file of what was measured on this machine, in a data folder that several machines may share."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SmallsightError
from smallsight.machine.processor import processor, usable_instruction_sets
from smallsight.policy.log import get_logger

log = get_logger(__name__)

_MOST_MACHINES = 16  # of a home directory on a network


def machine_key(*others: object) -> str:
    """Return a key of this machine, its runtime, and whatever else determines a measurement."""
    return json.dumps([*_machine(), *others], sort_keys=True)


def is_of_this_machine(key: str) -> bool:
    """Return whether a key begins with this machine and runtime."""
    here = _machine()
    try:
        return bool(json.loads(key)[: len(here)] == here)
    except (TypeError, ValueError):
        return False


def read_measurements(path: Path) -> dict[str, Any]:
    """Return the measurements of all machines by key; none from a damaged file, with a line in the log."""
    try:
        return read_state(path)
    except SmallsightError as error:
        log.warning("measurements_unusable", file=path.name, why=str(error), action="measuring again")
        return {}


def write_measurements(path: Path, key: str, found: object) -> None:
    """Store what was measured under a key; a failure is logged, and the next load measures again."""
    try:
        with locked_state(path):
            state = read_measurements(path)
            state.pop(key, None)
            for oldest in list(state)[: len(state) - _MOST_MACHINES + 1]:
                del state[oldest]
            state[key] = found
            write_state(path, state)
    except SmallsightError as error:
        log.info(
            "measurements_not_kept", file=path.name, why=str(error), action="measuring again at the next load"
        )


def _machine() -> list[str]:
    return [metadata.version("openvino"), processor().name, " ".join(usable_instruction_sets())]
