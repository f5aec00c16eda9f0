"""Carries out a validation: one measuring process after the other, every finished piece in the journal."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import ModelError, OutOfResourcesError, StorageError
from smallsight.policy.log import get_logger
from smallsight.settings import MIB, Settings
from smallsight.validation.measured_system import REFERENCE, MeasuredSystem
from smallsight.validation.measuring_process import MeasuringProcess, MeasuringProcessEndedError
from smallsight.validation.measuring_records import AnswerRecord, ScoreRecord
from smallsight.validation.picture_set import PictureFile, PictureSet
from smallsight.validation.run_folder import RunFolder
from smallsight.validation.visit_plan import BASE, SideName, Visit, plan_visits, remaining

__all__ = ["MeasuringRun", "RunOptions"]

log = get_logger(__name__)

_MOST_CRASHES = 3  # of one side; after them something other than a picture is to blame
_USUAL_VOCABULARY = 52_000  # tokens, where the configuration does not say
_TWO_SIDES = 2
_SPARE_BYTES = 256 * MIB  # that stay free on the disk


class RunObserver(Protocol):
    """Is told what a run does."""

    def doing(self, what: str) -> None:
        """Note what is being done now."""
        ...

    def finished_piece(self) -> None:
        """Count a finished piece of work."""
        ...


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What both sides are asked, and how often."""

    question: str
    max_tokens: int
    num_rounds: int


class MeasuringRun:
    """One validation in progress, in one thread. Only one model is in memory at any time."""

    def __init__(
        self,
        systems: Mapping[SideName, MeasuredSystem],
        pictures: PictureSet,
        options: RunOptions,
        settings: Settings,
        folder: RunFolder,
        *,
        is_trial: bool = False,
    ) -> None:
        """With ``is_trial`` the weights that the run has quantised are removed once they are not needed."""
        self._systems = systems
        self._pictures = pictures.readable
        self._options = options
        self._settings = settings
        self._folder = folder
        self._is_trial = is_trial
        self._num_crashes: Counter[SideName] = Counter()
        variants = [side for side in systems if side != BASE]
        can_score = {side for side, one in systems.items() if one.is_local and one.engine != REFERENCE}
        self._scored = can_score - {BASE} if BASE in can_score else set()
        self._plan = plan_visits(variants, len(self._pictures), options.num_rounds, scored=self._scored)

    @property
    def num_left(self) -> int:
        """How many pieces of work are left."""
        return sum(visit.num_pieces for visit in self._left())

    def disk_bytes(self) -> int:
        """Return the most bytes that distributions may take on the disk until they are compared."""
        num_scored = sum(len(visit.scores) for visit in self._left() if visit.side == BASE)
        return num_scored * self._options.max_tokens * _vocabulary(self._systems[BASE]) * 4

    def require_disk(self) -> None:
        """Raise StorageError unless the distributions fit on the disk."""
        needed_bytes = self.disk_bytes()
        free_bytes = shutil.disk_usage(self._folder.path).free
        if needed_bytes + _SPARE_BYTES > free_bytes:
            raise StorageError(
                f"Comparing tokens takes up to {needed_bytes / 1e9:.1f} GB of disk, and "
                f"{free_bytes / 1e9:.1f} GB are free for {self._folder.path}.",
                hint="make room, or measure fewer pictures with --limit.",
            )

    def run(self, observer: RunObserver) -> None:
        """Do everything that is left; raises what loading a model raises, and StorageError."""
        self.require_disk()
        while left := self._left():
            self._try_visit(left[0], observer)
            if self._is_trial:
                self._remove_weights(left[0].side)
        if self._is_trial:
            for side in self._systems:
                self._remove_weights(side)

    def _remove_weights(self, side: SideName) -> None:
        """Remove the weights that this run has stored for a side, unless it is visited again."""
        if any(visit.side == side for visit in self._left()):
            return
        for name in {name for one in self._folder.records.loaded[side] for name in one.new_weights}:
            (self._settings.prepared_dir / name).unlink(missing_ok=True)

    def _left(self) -> tuple[Visit, ...]:
        return remaining(self._plan, self._folder.finished())

    def _try_visit(self, visit: Visit, observer: RunObserver) -> None:
        """Visit one side; of several variants, one that cannot be measured is given up."""
        try:
            self._visit(visit, observer)
        except (ModelError, OutOfResourcesError) as error:
            if visit.side == BASE or len(self._systems) <= _TWO_SIDES:
                raise
            log.warning("variant_given_up", variant=visit.side, reason=error.message)
            for left in self._left():
                if left.side == visit.side:
                    self._give_up(left, error.message, observer)

    def _give_up(self, visit: Visit, problem: str, observer: RunObserver) -> None:
        for number in visit.answers:
            self._folder.add_answer(visit.round, visit.side, number, AnswerRecord(problem=problem))
            observer.finished_piece()
        for number in visit.scores:
            self._folder.add_compared(visit.side, number, ScoreRecord(problem=problem))
            self._drop_if_compared(number)
            observer.finished_piece()

    def _visit(self, visit: Visit, observer: RunObserver) -> None:
        """Load one side and do what the visit has to do, up to the end or to a crash.

        What the base could not score has no distributions to compare with.
        """
        system = self._systems[visit.side]
        observer.doing(f"Loading {system.title}")
        with self._loaded(visit.side) as process:
            for number in visit.answers:
                observer.doing(f"{system.title}, round {visit.round + 1}")
                record = self._try_answer(process, visit, number)
                self._folder.add_answer(visit.round, visit.side, number, record[0])
                observer.finished_piece()
                if record[1]:
                    return
            for number in visit.scores:
                if number in self._folder.finished().lost:
                    observer.finished_piece()
                    continue
                observer.doing(f"{system.title}, comparing tokens")
                has_crashed = self._try_score(process, visit.side, number)
                observer.finished_piece()
                if has_crashed:
                    return

    def _loaded(self, side: SideName) -> MeasuringProcess:
        """Return a process that has loaded this side from stored weights, and is warm."""
        system = self._systems[side]
        for _ in range(2):
            try:
                process = MeasuringProcess(system, self._settings, self._folder.log_path)
            except MeasuringProcessEndedError as error:
                raise ModelError(error.message, hint=error.hint) from error
            self._folder.add_loaded(side, process.loaded)
            if not process.loaded.is_first_load:
                break
            # Quantising has left its traces in the process: it would seem to need more memory than it does.
            process.kill()
        try:
            process.warm_up(self._options.question)
        except MeasuringProcessEndedError as error:
            raise ModelError(error.message, hint=error.hint) from error
        except BaseException:
            process.kill()
            raise
        return process

    def _try_answer(self, process: MeasuringProcess, visit: Visit, number: int) -> tuple[AnswerRecord, bool]:
        """Return an answer, or the problem with it, and whether the process is gone."""
        request = self._request(number) | {"max_tokens": self._options.max_tokens}
        try:
            return process.answer(request), False
        except MeasuringProcessEndedError as error:
            self._count_crash(visit.side, error)
            return AnswerRecord(problem=error.message), True

    def _try_score(self, process: MeasuringProcess, side: SideName, number: int) -> bool:
        """Score one answer, and return whether the process is gone."""
        answer = self._folder.records.answers[0, BASE, number]
        path = self._folder.distributions(number)
        request = self._request(number) | {"token_ids": answer.token_ids, "file": str(path)}
        has_crashed = False
        try:
            record = process.keep(request) if side == BASE else process.compare(request)
        except MeasuringProcessEndedError as error:
            self._count_crash(side, error)
            record, has_crashed = ScoreRecord(problem=error.message), True
        if side == BASE:
            self._folder.add_kept(number, record)
        else:
            self._folder.add_compared(side, number, record)
        self._drop_if_compared(number)
        return has_crashed

    def _drop_if_compared(self, number: int) -> None:
        """Remove the base's distributions for a picture if no variant needs them any more."""
        if self._folder.finished().is_compared(number, self._scored):
            self._folder.distributions(number).unlink(missing_ok=True)

    def _count_crash(self, side: SideName, error: MeasuringProcessEndedError) -> None:
        self._num_crashes[side] += 1
        if self._num_crashes[side] > _MOST_CRASHES:
            raise ModelError(error.message, hint=error.hint) from error

    def _request(self, number: int) -> dict[str, Any]:
        picture: PictureFile = self._pictures[number]
        return {
            "path": str(picture.path),
            "sha256": picture.sha256,
            "question": self._options.question,
        }


def _vocabulary(system: MeasuredSystem) -> int:
    """Return the number of tokens of a model, from its configuration."""
    if system.directory is None:
        return _USUAL_VOCABULARY
    config = read_json_object(system.directory / "config.json")
    text = config.get("text_config")
    for one in (text if isinstance(text, dict) else {}, config):
        if isinstance(size := one.get("vocab_size"), int):
            return size
    return _USUAL_VOCABULARY
