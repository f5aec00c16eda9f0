"""The file in the data folder that stores how fast the extension and OpenVINO compute a network here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smallsight.graph.machine_measurements import (
    is_of_this_machine,
    machine_key,
    read_measurements,
    write_measurements,
)
from smallsight.policy.log import get_logger

log = get_logger(__name__)

_STATE_NAME = "faster-code.json"
# How much less time OpenVINO has to take: of a near tie the next measurement would say the opposite.
_CLEARLY = 0.9


@dataclass(frozen=True, slots=True)
class SpeedComparison:
    """Seconds that the extension and OpenVINO took for the same work, at best."""

    extension_s: float
    openvino_s: float

    @property
    def extension_is_faster(self) -> bool:
        """Whether the extension should compute: it is faster, or about as fast."""
        return self.openvino_s >= _CLEARLY * self.extension_s


def speeds_key(build: str, threads: int, tuning: Mapping[str, str | int]) -> str:
    """Return a key of what determines the times apart from the network: machine, builds, threads, options."""
    return machine_key(build, threads, dict(tuning))


def read_speeds(prepared_dir: Path, key: str) -> dict[str, SpeedComparison]:
    """Return what was measured under a key, by network."""
    return _comparisons(read_measurements(prepared_dir / _STATE_NAME).get(key, {}))


def speeds_here(prepared_dir: Path) -> dict[str, SpeedComparison]:
    """Return everything measured on this machine, by network; the newest of several."""
    found: dict[str, SpeedComparison] = {}
    for key, rows in read_measurements(prepared_dir / _STATE_NAME).items():
        if is_of_this_machine(key):
            found |= _comparisons(rows)
    return found


def write_speeds(prepared_dir: Path, key: str, known: Mapping[str, SpeedComparison]) -> None:
    """Store measurements; a failure is logged, and the next load measures again."""
    rows = {
        name: {"extension_s": one.extension_s, "openvino_s": one.openvino_s}
        for name, one in sorted(known.items())
    }
    write_measurements(prepared_dir / _STATE_NAME, key, rows)


def _comparisons(rows: object) -> dict[str, SpeedComparison]:
    try:
        return {
            str(name): SpeedComparison(float(row["extension_s"]), float(row["openvino_s"]))
            for name, row in rows.items()  # type: ignore[attr-defined]  # checked by the exception below
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("speeds_unusable", why=str(error), action="measuring again")
        return {}
