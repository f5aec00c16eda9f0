"""The folder of an unfinished validation: a journal of every finished piece, and distributions on disk.

A process that is killed loses the piece that it works on. The same command continues, because the folder's
name is a hash over everything that decides the measurement.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from smallsight.catalog.state_file import locked_state
from smallsight.errors import StorageError
from smallsight.machine.private_files import make_private_folder
from smallsight.validation.measuring_records import AnswerRecord, LoadedRecord, ScoreRecord
from smallsight.validation.visit_plan import BASE, Finished, SideName

__all__ = ["RunFolder", "RunRecords", "open_run_folder"]

_JOURNAL = "journal.jsonl"
_LOG = "process.log"
_LOCK_WAIT_S = 0.2
_FORMAT = 1


@dataclass(slots=True)
class RunRecords:
    """What has been measured so far, by side, round and number of the picture."""

    loaded: defaultdict[SideName, list[LoadedRecord]] = field(default_factory=lambda: defaultdict(list))
    answers: dict[tuple[int, SideName, int], AnswerRecord] = field(default_factory=dict)
    kept: dict[int, ScoreRecord] = field(default_factory=dict)
    compared: dict[tuple[SideName, int], ScoreRecord] = field(default_factory=dict)

    def finished(self) -> Finished:
        """Return what need not be done again, apart from what is on disk."""
        finished = Finished()
        for number_of_round, side, picture in self.answers:
            finished.answered.setdefault((number_of_round, side), set()).add(picture)
        for side, picture in self.compared:
            finished.compared.setdefault(side, set()).add(picture)
        finished.lost |= {picture for picture, score in self.kept.items() if score.problem}
        for (number_of_round, side, picture), answer in self.answers.items():
            if number_of_round == 0 and side == BASE and not answer.token_ids:
                finished.lost.add(picture)
        return finished


class RunFolder:
    """One unfinished validation. Only ``open_run_folder`` makes one, and holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = RunRecords()
        self._journal = path / _JOURNAL
        self._read()

    @property
    def log_path(self) -> Path:
        """Where measuring processes write to standard error."""
        return self.path / _LOG

    @property
    def is_continued(self) -> bool:
        """Whether an earlier process has finished something."""
        return bool(self.records.answers)

    def distributions(self, picture: int) -> Path:
        """Return the file of the base's distributions for a picture."""
        return self.path / f"{picture}.npy"

    def finished(self) -> Finished:
        """Return what need not be done again."""
        finished = self.records.finished()
        finished.kept = {
            number for number in self.records.kept if self.distributions(number).is_file()
        } - finished.lost
        return finished

    def add_loaded(self, side: SideName, record: LoadedRecord) -> None:
        """Record that a system has been loaded."""
        self._append({"piece": "loaded", "side": side}, record)

    def add_answer(self, number_of_round: int, side: SideName, picture: int, record: AnswerRecord) -> None:
        """Record an answer."""
        self._append({"piece": "answer", "round": number_of_round, "side": side, "picture": picture}, record)

    def add_kept(self, picture: int, record: ScoreRecord) -> None:
        """Record that the base's distributions are on disk, or why not."""
        self._append({"piece": "kept", "picture": picture}, record)

    def add_compared(self, side: SideName, picture: int, record: ScoreRecord) -> None:
        """Record how a variant's distributions agree with the base's."""
        self._append({"piece": "compared", "side": side, "picture": picture}, record)

    def remove(self) -> None:
        """Remove the folder: the validation is complete."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _append(self, about: dict[str, Any], record: BaseModel) -> None:
        line = {**about, "record": record.model_dump(mode="json")}
        try:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"{self._journal} cannot be written: {error.strerror or error}.",
                hint="make room on the disk; everything finished is kept.",
            ) from error
        self._take(line)

    def _read(self) -> None:
        """Read the journal; what a killed process has left half written is cut off."""
        try:
            data = self._journal.read_bytes()
        except FileNotFoundError:
            return
        whole_bytes = data.rfind(b"\n") + 1
        if whole_bytes < len(data):
            os.truncate(self._journal, whole_bytes)
        for line in data[:whole_bytes].splitlines():
            self._take(json.loads(line))

    def _take(self, line: Mapping[str, Any]) -> None:
        record = line["record"]
        match line["piece"]:
            case "loaded":
                self.records.loaded[line["side"]].append(LoadedRecord(**record))
            case "answer":
                key = line["round"], line["side"], line["picture"]
                self.records.answers[key] = AnswerRecord(**record)
            case "kept":
                self.records.kept[line["picture"]] = ScoreRecord(**record)
            case _:
                self.records.compared[line["side"], line["picture"]] = ScoreRecord(**record)


@contextlib.contextmanager
def open_run_folder(parent: Path, identity: Mapping[str, Any], *, is_fresh: bool) -> Iterator[RunFolder]:
    """Open or create the folder of a validation, and lock it; ``is_fresh`` forgets what an earlier run did.

    ``identity`` is everything that decides the measurement. Raises StorageError, also if another process
    works on the same validation.
    """
    text = json.dumps({"format": _FORMAT, **identity}, sort_keys=True)
    path = parent / hashlib.sha256(text.encode()).hexdigest()[:16]
    with locked_state(path, wait_s=_LOCK_WAIT_S):
        try:
            if is_fresh:
                shutil.rmtree(path, ignore_errors=True)
            make_private_folder(path)
            folder = _opened(path)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be used: {error.strerror or error}.",
                hint="give this user write permission to the data folder.",
            ) from error
        try:
            yield folder
        finally:
            if not path.exists():
                path.with_name(f".{path.name}.lock").unlink(missing_ok=True)


def _opened(path: Path) -> RunFolder:
    """Open a folder; a journal that is damaged is begun again."""
    try:
        return RunFolder(path)
    except (ValueError, KeyError, TypeError):
        shutil.rmtree(path)
        make_private_folder(path)
        return RunFolder(path)
