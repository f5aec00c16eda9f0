"""The measuring process: ``python -m smallsight.validation.measuring_child``.

It loads one model, answers and scores as it is told, and measures its own memory. A process of its own makes
sure that nothing of another model, or of an earlier round, is in the figures. Requests and replies are lines
of JSON on standard input and output.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel

from smallsight.engine.engine import EngineOptions
from smallsight.errors import CorruptPictureError, SmallsightError, StorageError
from smallsight.machine.process_memory import PeakMeter, process_memory
from smallsight.media.files import read_picture_file
from smallsight.media.sandbox import follow_parent
from smallsight.model.loading import load
from smallsight.model.model import Model
from smallsight.model.picture_argument import NamedImage, PictureOpener
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.settings import Settings, load_settings
from smallsight.validation.measured_system import KERNELS, OPENVINO, OPENVINO_ALONE, REMOTE, MeasuredSystem
from smallsight.validation.measuring_records import AnswerRecord, ErrorRecord, LoadedRecord, ScoreRecord
from smallsight.validation.result import ModuleBytes
from smallsight.validation.token_scores import score_tokens

__all__ = ["main"]

_DETAIL = "auto"
_WARM_UP_TOKENS = 2


class _LoadedSystem:
    """The loaded model and its measurements."""

    def __init__(self, system: MeasuredSystem, settings: Settings) -> None:
        self._system = system
        self._settings = settings
        self._opener = PictureOpener(settings.limits)
        before = process_memory()
        self._meter = PeakMeter()
        bundles = _bundles(settings)
        began_s = time.perf_counter()
        self._model = _load(system, settings)
        load_s = time.perf_counter() - began_s
        is_local = system.is_local
        new_weights = sorted(_bundles(settings) - bundles) if is_local else []
        loaded = process_memory()
        self.loaded = LoadedRecord(
            key=self._model.key,
            load_s=load_s,
            is_first_load=bool(new_weights),
            new_weights=tuple(new_weights),
            before_bytes=before.resident_bytes if is_local else None,
            loaded_bytes=loaded.resident_bytes if is_local else None,
            loading_peak_bytes=self._meter.peak_bytes() if is_local else None,
            private_loaded_bytes=loaded.private_bytes if is_local else None,
            modules=_modules(self._model),
        )
        self._meter.restart()

    def do(self, request: dict[str, Any]) -> BaseModel:
        """Do one piece of work; raises StorageError."""
        match request["do"]:
            case "answer":
                return self._answer(request)
            case "keep":
                return self._keep(request)
            case "compare":
                return self._compare(request)
            case _:
                return self._warm_up(request["question"])

    def close(self) -> None:
        """End the model and the process that opens pictures."""
        self._meter.close()
        self._opener.close()
        self._model.close()

    def _warm_up(self, question: str) -> AnswerRecord:
        """Answer about an empty picture: the first answer has the runtime copy the weights."""
        file = BytesIO()
        Image.new("RGB", (64, 64), "grey").save(file, "png")
        with suppress(SmallsightError):
            image = self._opener.open(file.getvalue())
            self._model.ask(image, question, max_tokens=_WARM_UP_TOKENS, detail=_DETAIL)
        return AnswerRecord()

    def _answer(self, request: dict[str, Any]) -> AnswerRecord:
        """Answer a question about one picture."""
        began_s = time.perf_counter()
        try:
            picture = self._open(request)
            opened_s = time.perf_counter() - began_s
            answer = self._model.ask(
                picture, request["question"], max_tokens=request["max_tokens"], detail=_DETAIL
            )
        except SmallsightError as error:
            return AnswerRecord(problem=error.message)
        total_s = time.perf_counter() - began_s
        peak_bytes = private_bytes = None
        if self._system.is_local:
            now, peak_bytes = process_memory(), self._meter.peak_bytes()
            # What is shared with other processes, libraries and mapped files, hardly changes meanwhile.
            private_bytes = max(now.private_bytes, peak_bytes - (now.resident_bytes - now.private_bytes))
        return AnswerRecord(
            text=answer.text,
            token_ids=answer.token_ids,
            finish_reason=answer.finish_reason,
            num_tokens=answer.usage.completion_tokens,
            first_token_s=opened_s + answer.timings.first_token_s,
            decode_s=answer.timings.decode_s,
            total_s=total_s,
            data=None if answer.data is None else dict(answer.data),
            peak_bytes=peak_bytes,
            private_peak_bytes=private_bytes,
        )

    def _keep(self, request: dict[str, Any]) -> ScoreRecord:
        """Write the distributions on one answer to a file, whole or not at all."""
        try:
            distributions_TV = self._distributions(request)
        except SmallsightError as error:
            return ScoreRecord(problem=error.message)
        path = Path(request["file"])
        building = path.with_suffix(".part")
        try:
            with building.open("wb") as file:
                np.save(file, distributions_TV)
            building.replace(path)
        except OSError as error:
            building.unlink(missing_ok=True)
            raise StorageError(
                f"Distributions cannot be written to {path.parent}: {error.strerror or error}.",
                hint="make room on the disk, or measure fewer pictures with --limit.",
            ) from error
        return ScoreRecord(num_bytes=distributions_TV.nbytes)

    def _compare(self, request: dict[str, Any]) -> ScoreRecord:
        """Compare the distributions with those in a file."""
        try:
            distributions_TV = self._distributions(request)
            tokens = score_tokens(np.load(request["file"], mmap_mode="r"), distributions_TV)
        except SmallsightError as error:
            return ScoreRecord(problem=error.message)
        except (OSError, ValueError) as error:  # ValueError: another vocabulary
            return ScoreRecord(problem=str(error))
        return ScoreRecord(tokens=tokens)

    def _distributions(self, request: dict[str, Any]) -> NDArray[np.float32]:
        answer = request["token_ids"]
        picture = self._open(request)
        scores = self._model.score(picture, request["question"], answer, detail=_DETAIL)
        return scores.log_distributions

    def _open(self, request: dict[str, Any]) -> NamedImage:
        """Read a picture and open it; raises PictureError."""
        path = Path(request["path"])
        data = read_picture_file(path, self._settings.limits)
        digest = hashlib.sha256(data)
        if digest.hexdigest() != request["sha256"]:
            raise CorruptPictureError(
                "The file has changed during the measurement.", hint="measure it again."
            )
        return NamedImage(path.name, self._opener.open(data))


def main() -> int:
    """Serve requests on standard input until it ends; return the exit code."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the output of native libraries is not part of the protocol
    first = json.loads(sys.stdin.readline())
    follow_parent(first["parent_pid"])
    try:
        settings = load_settings(**first["settings"])
        measured = _LoadedSystem(MeasuredSystem.model_validate(first["system"]), settings)
        _reply(replies, measured.loaded)
        for line in sys.stdin:
            _reply(replies, measured.do(json.loads(line)))
    except SmallsightError as error:
        kind = type(error).__name__
        _reply(replies, ErrorRecord(kind=kind, message=error.message, hint=error.hint))
        return error.exit_code
    measured.close()
    return 0


def _reply(replies: TextIO, record: BaseModel) -> None:
    replies.write(record.model_dump_json() + "\n")
    replies.flush()


def _load(system: MeasuredSystem, settings: Settings) -> Model:
    if system.remote is not None:
        remotes = {**settings.remotes, system.name: system.remote}
        with_remote = settings.model_copy(update={"remotes": remotes})
        return load(system.name, engine=REMOTE, settings=with_remote)
    if system.directory is None or system.family is None:
        raise ValueError("a local system has a folder and a family")
    if system.engine in (OPENVINO, OPENVINO_ALONE):
        if system.engine == OPENVINO_ALONE:
            settings = settings.model_copy(update={"kernels": False})
        return load(system.directory, scheme=system.form, engine=OPENVINO, settings=settings)
    with_kernels = system.engine == KERNELS
    return VisionLanguageModel.load(
        system.directory,
        family=system.family,
        name=system.name,
        precision=system.form or "auto",
        threads=settings.threads,
        limits=settings.limits,
        engine=OPENVINO if with_kernels else system.engine,
        prepared_dir=settings.prepared_dir if with_kernels else None,
        options=EngineOptions(uses_kernels=True) if with_kernels else None,
    )


def _modules(model: Model) -> tuple[ModuleBytes, ...]:
    return tuple(
        ModuleBytes(
            module=one.part, form=one.form, num_parameters=one.num_parameters, num_bytes=one.num_bytes
        )
        for one in model.memory.parts
    )


def _bundles(settings: Settings) -> frozenset[str]:
    """Return the names of all stored weights."""
    try:
        return frozenset(path.name for path in settings.prepared_dir.glob("*.weights"))
    except OSError:
        return frozenset()


if __name__ == "__main__":
    sys.exit(main())
