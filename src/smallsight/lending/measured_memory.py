"""The measured memory of models, while loading and while answering, kept between runs in one small file.

The file may be deleted; memory is then measured again.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from smallsight.catalog.state_file import read_state, write_state
from smallsight.errors import SmallsightError
from smallsight.inventory.served_models import ServedModel
from smallsight.policy.log import get_logger
from smallsight.version import __version__

log = get_logger(__name__)

_MODELS = "models"
_MAX_MODELS = 500
_DECAY = 0.95  # per answer
_WORTH_WRITING = 0.02  # smaller relative changes are not written


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes by which the process has grown; 0 where not measured yet.

    The first answer after loading includes memory that later ones reuse, such as packed weights.
    """

    loading_bytes: int = 0
    first_answer_bytes: int = 0
    later_answer_bytes: int = 0


class MeasuredMemory:
    """The measurements of each model, by its name, precision or scheme, device and files. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        """Without a path nothing is written."""
        self._path = path
        self._turn = threading.Lock()
        self._models = {} if path is None else _read(path)
        self._written = dict(self._models)

    def find(self, served: ServedModel) -> Measured:
        """Return the measurements of a model; zeros if there are none."""
        return self._models.get(_key(served), Measured())

    def note_loading(self, served: ServedModel, num_bytes: int) -> None:
        """Store by how much loading grew the process; the newest measurement counts."""
        self._note(served, replace(self.find(served), loading_bytes=max(0, num_bytes)))

    def note_answer(self, served: ServedModel, num_bytes: int, *, is_first: bool) -> Measured:
        """Store by how much an answer grew the process, and return all measurements of the model.

        The largest counts, and decays with each answer.
        """
        known = self.find(served)
        if is_first:
            known = replace(known, first_answer_bytes=_largest(known.first_answer_bytes, num_bytes))
        else:
            known = replace(known, later_answer_bytes=_largest(known.later_answer_bytes, num_bytes))
        self._note(served, known)
        return known

    def save(self) -> None:
        """Write the file if a measurement has changed enough; a file that is not writable is logged once."""
        with self._turn:
            models = dict(self._models)
            if self._path is None or not _differ(models, self._written):
                return
            self._written = models
        rows = {key: asdict(one) for key, one in models.items()}
        try:
            write_state(self._path, {"version": __version__, _MODELS: rows})
        except SmallsightError as error:
            log.info("measured_memory_not_kept", why=str(error))
            self._path = None

    def _note(self, served: ServedModel, measured: Measured) -> None:
        with self._turn:
            key = _key(served)
            self._models.pop(key, None)
            self._models[key] = measured  # at the end: the first is the oldest
            while len(self._models) > _MAX_MODELS:
                del self._models[next(iter(self._models))]


def _largest(known_bytes: int, new_bytes: int) -> int:
    """Return the larger one; without the decay, one outlier would count against a model forever."""
    return max(new_bytes, int(_DECAY * known_bytes))


def _key(served: ServedModel) -> str:
    where = served.device if served.engine == "auto" else f"{served.engine} {served.device}"
    return "|".join((served.name, served.scheme or served.precision, where, served.files_mark))


def _differ(new: dict[str, Measured], old: dict[str, Measured]) -> bool:
    if new.keys() != old.keys():
        return True
    pairs = [
        (value, asdict(old[key])[name])
        for key, measured in new.items()
        for name, value in asdict(measured).items()
    ]
    return any(abs(value - before) > _WORTH_WRITING * max(value, before) for value, before in pairs)


def _read(path: Path) -> dict[str, Measured]:
    """Return what earlier runs of this version have measured; a damaged file counts as empty."""
    try:
        state = read_state(path)
        if state.get("version") != __version__:
            return {}
        return {str(key): Measured(**_whole(row)) for key, row in state[_MODELS].items()}
    except (SmallsightError, AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("measured_memory_unusable", path=str(path), why=str(error), action="measuring again")
        return {}


def _whole(row: dict[str, object]) -> dict[str, int]:
    if not all(isinstance(value, int) and value >= 0 for value in row.values()):
        raise ValueError("not a number of bytes")
    return {name: value for name, value in row.items() if isinstance(value, int)}
