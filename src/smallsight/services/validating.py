"""Wires a validation: the systems that a person names, the pictures of a folder, the run and its result."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.text_model import find_text_model
from smallsight.errors import PictureNotFoundError, SettingsError, StorageError
from smallsight.library.walk import list_pictures
from smallsight.machine.private_files import make_private_folder
from smallsight.reading.word_list import read_whole_words
from smallsight.services.verdict_keeping import keep_verdict
from smallsight.settings import Settings
from smallsight.validation.assembling import MeasuredRun, TextMeasures, assemble
from smallsight.validation.exploration import Exploration
from smallsight.validation.measured_system import MeasuredSystem, WantedSystem, resolve_systems
from smallsight.validation.measuring_run import MeasuringRun, RunObserver, RunOptions
from smallsight.validation.picture_set import PictureSet, read_picture_set
from smallsight.validation.report import write_report
from smallsight.validation.report_thumbnails import make_thumbnails
from smallsight.validation.result import ValidationResult
from smallsight.validation.run_folder import open_run_folder
from smallsight.validation.text_scores import require_text_metrics
from smallsight.validation.visit_plan import BASE

if TYPE_CHECKING:
    from smallsight.reading.text_embedder import TextEmbedder

__all__ = [
    "ValidationObserver",
    "ValidationPlan",
    "ValidationRequest",
    "file_stem",
    "store_result",
    "validate",
    "write_result",
]

_RUNS = "validation-runs"
_RESULTS = "validations"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class ValidationRequest:
    """What to validate: one variant, or several with the same base, which is then measured once.

    Without ``question`` all are asked for a description in the words of the base's family.

    ``limit`` is the most pictures, spread evenly over the folder. ``is_fresh`` forgets an interrupted run.
    With ``is_trial`` quantised weights that the run has stored are removed once they are not needed.
    """

    variants: tuple[WantedSystem, ...]
    against: WantedSystem | None
    pictures: Path
    question: str | None = None
    limit: int = 64
    max_tokens: int = 64
    num_rounds: int = 3
    is_fresh: bool = False
    is_trial: bool = False


@dataclass(frozen=True, slots=True)
class ValidationPlan:
    """What a validation is going to do, before it begins."""

    base: MeasuredSystem
    variants: tuple[MeasuredSystem, ...]
    pictures: PictureSet
    num_pieces: int
    disk_bytes: int
    is_continued: bool


class ValidationObserver(RunObserver, Protocol):
    """Is told what a validation is going to do, and what it does."""

    def planned(self, plan: ValidationPlan) -> None:
        """Note what is going to be done."""
        ...


@contextmanager
def validate(
    request: ValidationRequest, settings: Settings, observer: ValidationObserver
) -> Iterator[list[ValidationResult]]:
    """Measure the base and every variant, and yield a result for each.

    What was measured is forgotten once the block has ended well, so that a result that cannot be stored need
    not be measured again. Raises SmallsightError.
    """
    require_text_metrics()
    base, variants = _resolve(request, settings)
    pictures = _picture_set(request, settings)
    options = RunOptions(request.question or base.prompt, request.max_tokens, request.num_rounds)
    identity = {
        "systems": [one.model_dump(mode="json") for one in (base, *variants)],
        "pictures": [[one.name, one.sha256] for one in (*pictures.readable, *pictures.unreadable)],
        "question": options.question,
        "max_tokens": options.max_tokens,
        "rounds": options.num_rounds,
        "threads": settings.threads,
    }
    names = [f"{number} {one.title}" for number, one in enumerate(variants)]
    systems = {BASE: base, **dict(zip(names, variants, strict=True))}
    with open_run_folder(settings.home / _RUNS, identity, is_fresh=request.is_fresh) as folder:
        run = MeasuringRun(systems, pictures, options, settings, folder, is_trial=request.is_trial)
        observer.planned(
            ValidationPlan(base, variants, pictures, run.num_left, run.disk_bytes(), folder.is_continued)
        )
        run.run(observer)
        measured = MeasuredRun(systems, pictures, options, folder.records)
        texts = _text_measures(settings)
        yield [assemble(measured, name, settings, texts) for name in names]
        folder.remove()


def store_result(
    result: ValidationResult, out: Path | None, settings: Settings, command: Sequence[str] = ()
) -> Path:
    """Write the report with its JSON twin, keep the verdict in the library, and return the report's file.

    ``out`` is a folder or a file; by default the report is in the data folder. ``command`` repeats the
    measurement. Raises StorageError and LibraryError.
    """
    path = write_result(result, result.variant.system.name, out, settings, command)
    keep_verdict(settings, result)
    return path


def write_result(
    result: ValidationResult,
    title: str,
    out: Path | None,
    settings: Settings,
    command: Sequence[str] = (),
    exploration: Exploration | None = None,
) -> Path:
    """Write the report with its JSON twin, named by ``title``, and return its file; raises StorageError."""
    folder, stem = _place(title, out, settings)
    path = folder / f"{stem}.html"
    shown = (one.picture for one in result.pictures if one.sha256)
    thumbnails = make_thumbnails(Path(result.pictures_folder), shown, settings.limits)
    try:
        make_private_folder(folder.absolute())
        write_report(result, thumbnails, path, exploration=exploration, command=command)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.", hint="choose another place with --out."
        ) from error
    return path


def file_stem(title: str) -> str:
    """Return a name as a file may be called, without suffix."""
    return _NOT_IN_NAMES.sub("-", title)


def _place(title: str, out: Path | None, settings: Settings) -> tuple[Path, str]:
    """Return the folder of a result, and the name of its files without suffix."""
    if out is not None and out.suffix.lower() in (".html", ".json"):
        return out.parent, out.stem
    return (settings.home / _RESULTS if out is None else out), file_stem(title)


def _resolve(
    request: ValidationRequest, settings: Settings
) -> tuple[MeasuredSystem, tuple[MeasuredSystem, ...]]:
    """Return the base, which all variants must share, and the variants."""
    pairs = [resolve_systems(one, request.against, settings) for one in request.variants]
    bases = list(dict.fromkeys(base for base, _ in pairs))
    if len(bases) != 1:
        raise SettingsError("The variants have different bases.", hint="name one with --against.")
    return bases[0], tuple(variant for _, variant in pairs)


def _picture_set(request: ValidationRequest, settings: Settings) -> PictureSet:
    """Return the pictures to measure; raises PictureNotFoundError if the folder has none that can be read."""
    folder = request.pictures.expanduser()
    if not folder.is_dir():
        raise PictureNotFoundError(f"There is no such folder: {folder}", hint="check the path.")
    listing = list_pictures(
        folder, exclude=settings.index.exclude, follow_symlinks=settings.index.follow_symlinks
    )
    names = [found.path for found in listing.files]
    pictures = read_picture_set(folder.absolute(), names, settings.limits, most=request.limit)
    if not pictures.readable:
        raise PictureNotFoundError(
            f"There are no pictures that can be read in this folder: {folder}", hint="check the path."
        )
    return pictures


def _text_measures(settings: Settings) -> TextMeasures | None:
    """Return what the text model tells, None if it is not on this machine."""
    model_dir = find_text_model(settings)
    if model_dir is None:
        return None
    words = read_whole_words(model_dir, settings.prepared_dir)
    return TextMeasures(_Embedder(model_dir, settings).embed, words.__contains__)


class _Embedder:
    """Embeds texts; the text model is loaded with the first, when no other model is in memory any more."""

    def __init__(self, model_dir: Path, settings: Settings) -> None:
        self._model_dir = model_dir
        self._settings = settings

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors, float32 [texts, dimensions]."""
        return self._loaded.embed(texts)

    @cached_property
    def _loaded(self) -> TextEmbedder:
        from smallsight.reading.text_embedder import TextEmbedder  # noqa: PLC0415 - imports OpenVINO

        return TextEmbedder.load(
            self._model_dir,
            precision=self._settings.embedding.precision,
            threads=self._settings.threads,
            prepared_dir=self._settings.prepared_dir,
        )
