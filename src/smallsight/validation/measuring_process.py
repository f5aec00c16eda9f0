"""The parent's side of one measuring process: starts it, tells it what to do, and raises its errors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from smallsight import errors
from smallsight.errors import SmallsightError
from smallsight.settings import Settings
from smallsight.validation.measured_system import MeasuredSystem
from smallsight.validation.measuring_records import AnswerRecord, ErrorRecord, LoadedRecord, ScoreRecord

__all__ = ["MeasuringProcess", "MeasuringProcessEndedError"]

_MODULE = "smallsight.validation.measuring_child"
_EXIT_S = 10.0
_Reply = TypeVar("_Reply", bound=BaseModel)


class MeasuringProcessEndedError(Exception):
    """The process ended in the middle of a piece of work, by a crash or because memory ran out.

    Never leaves this layer.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class MeasuringProcess:
    """A process that has loaded one system. Use it in ``with``; it ends with the block.

    After any exception it is gone. It is killed, because unloading a model in good order takes seconds.
    """

    def __init__(self, system: MeasuredSystem, settings: Settings, log_path: Path) -> None:
        """Start the process and wait until the model is loaded; raises what loading raises.

        ``log_path`` receives what the process writes to standard error.
        """
        self._system = system
        self._log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=_environment(),
                text=True,
                encoding="utf-8",
            )
        first = {
            "system": system.model_dump(mode="json"),
            "settings": settings.model_dump(mode="json"),
            "parent_pid": os.getpid(),
        }
        try:
            self.loaded = self._exchange(first, LoadedRecord)
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def warm_up(self, question: str) -> None:
        """Have one answer that does not count."""
        self._exchange({"do": "warm_up", "question": question}, AnswerRecord)

    def answer(self, request: dict[str, Any]) -> AnswerRecord:
        """Have a question about a picture answered; raises MeasuringProcessEndedError."""
        return self._exchange({"do": "answer", **request}, AnswerRecord)

    def keep(self, request: dict[str, Any]) -> ScoreRecord:
        """Have the distributions on an answer written to a file; raises StorageError too."""
        return self._exchange({"do": "keep", **request}, ScoreRecord)

    def compare(self, request: dict[str, Any]) -> ScoreRecord:
        """Have the distributions on an answer compared with a file."""
        return self._exchange({"do": "compare", **request}, ScoreRecord)

    def kill(self) -> None:
        """End the process and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _exchange(self, request: dict[str, Any], kind: type[_Reply]) -> _Reply:
        requests, replies = self._process.stdin, self._process.stdout
        if requests is None or replies is None:
            raise ValueError("the process has no pipes")
        line = ""
        with contextlib.suppress(OSError):
            requests.write(json.dumps(request) + "\n")
            requests.flush()
        with contextlib.suppress(OSError):
            line = replies.readline()
        if not line.endswith("\n"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_S)
            self.kill()
            raise self._ended()
        try:
            return kind.model_validate_json(line)
        except ValidationError:
            raise _as_ours(ErrorRecord.model_validate_json(line)) from None

    def _ended(self) -> MeasuringProcessEndedError:
        code = self._process.returncode
        how = f"with exit code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"by {signal.Signals(-code).name}"
        is_killed = code == -getattr(signal, "SIGKILL", 9)
        return MeasuringProcessEndedError(
            f"The process that measured {self._system.title} ended {how}.",
            hint="memory probably ran out: close other programs."
            if is_killed
            else f"its last words are in {self._log_path}.",
        )


def _as_ours(record: ErrorRecord) -> SmallsightError:
    kind = getattr(errors, record.kind, SmallsightError)
    made: SmallsightError = kind(record.message, hint=record.hint)
    return made


def _environment() -> dict[str, str]:
    """Return this process's environment, with the folders from which it imports."""
    paths = [os.path.abspath(entry) for entry in sys.path if entry]  # noqa: PTH100 - not resolving links
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"}
