"""Which model a name or folder means: its family, its precision, and where its files are.

Reads the catalogue, the registered folders and the Hugging Face cache; loads nothing and fetches nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smallsight.catalog.catalog import Catalog, load_catalog, unknown_model
from smallsight.catalog.checkpoint import Checkpoint, mark_of_files, open_checkpoint
from smallsight.catalog.entry import Entry, Precision
from smallsight.catalog.files import ModelFiles
from smallsight.catalog.hub_cache import default_cache_dir
from smallsight.catalog.manifest import Pins
from smallsight.catalog.registered import RegisteredModels
from smallsight.errors import (
    ArgumentError,
    BrokenCheckpointError,
    ModelNotRunnableError,
    ModelUnavailableError,
    OutOfResourcesError,
)
from smallsight.families.registry import FAMILIES
from smallsight.inventory.footprint import running_bytes
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import Settings
from smallsight.version import __version__

__all__ = ["AUTO", "TEST_FAMILY", "WantedModel", "find_model", "find_remote", "require_memory"]

AUTO = "auto"
TEST_FAMILY = "test"
RUNNABLE_FAMILIES = frozenset((TEST_FAMILY, *FAMILIES))
_PRECISION_OF_FOLDERS = Precision.BF16  # what the catalogue's base models default to
_BITS: Mapping[Precision, int] = {
    Precision.FP32: 32,
    Precision.FP16: 16,
    Precision.BF16: 16,
    Precision.INT8: 8,
    Precision.INT4: 4,
    Precision.NF4: 4,
}
_GIB = 1024**3
_MOST_CHECKPOINTS = 16


@dataclass(frozen=True, slots=True)
class WantedModel:
    """One model that can be loaded; the folder and precision are None for a model without weights.

    ``needed_bytes`` estimates the memory of answering, for a folder only that of the weights.
    """

    name: str
    family: str
    directory: Path | None
    precision: Precision | None
    needed_bytes: int


def find_model(
    name_or_directory: str | os.PathLike[str],
    precision: str,
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    cache_dir: Path | None = None,
) -> WantedModel:
    """Find a catalogue name, a registered name, or a folder in Hugging Face layout, tried in this order.

    ``./NAME`` always means a folder. Raises UnknownModelError, ModelUnavailableError for a model whose files
    are not here, ModelNotRunnableError, BrokenCheckpointError and ArgumentError.
    """
    chosen = _known_precision(precision)
    catalog = catalog or load_catalog()
    if not isinstance(name_or_directory, str):
        return _from_folder(Path(name_or_directory), None, chosen, catalog)
    registered = RegisteredModels(settings.models_path)
    if (entry := catalog.get(name_or_directory)) is not None:
        pins = Pins(settings.home / "model-revisions.json")
        files = ModelFiles(catalog, registered, pins, cache_dir or default_cache_dir())
        return _from_entry(entry, chosen, catalog, files)
    if (own := registered.get(name_or_directory)) is not None:
        return _from_folder(own.directory, own.name, chosen, catalog)
    directory = _with_home(name_or_directory)
    if _is_folder(directory):
        return _from_folder(directory, None, chosen, catalog)
    if name_or_directory.startswith((".", "~", os.sep)):
        raise BrokenCheckpointError(
            f"There is no folder {directory}.", hint="give the folder that holds config.json, or a name."
        )
    raise unknown_model(
        name_or_directory, [e.name for e in catalog.entries] + [m.name for m in registered.all()]
    )


def find_remote(name: object, settings: Settings) -> tuple[str, RemoteSettings] | None:
    """Return the name as it is written in the settings, and the server that runs this model, if one does."""
    wanted = name.casefold() if isinstance(name, str) else None
    return next((one for one in settings.remotes.items() if one[0].casefold() == wanted), None)


def require_memory(wanted: WantedModel, usable_bytes: int, free_bytes: int) -> None:
    """Raise OutOfResourcesError when the model would not fit into what there is, or what is free of it."""
    if wanted.needed_bytes <= min(usable_bytes, free_bytes):
        return
    form = "" if wanted.precision is None else f" in {wanted.precision.value}"
    needs = f"{wanted.name}{form} needs about {wanted.needed_bytes / _GIB:.1f} GiB of memory"
    if wanted.needed_bytes > usable_bytes:
        raise OutOfResourcesError(
            f"{needs}, and this machine has {usable_bytes / _GIB:.1f} GiB.",
            hint="load it in int8, or choose one that fits: `smallsight models` says which do.",
        )
    raise OutOfResourcesError(
        f"{needs}, and {free_bytes / _GIB:.1f} GiB are free.",
        hint="close other programs, or load it in int8.",
    )


def _known_precision(precision: str) -> Precision | None:
    if precision == AUTO:
        return None
    try:
        return Precision(precision)
    except ValueError as error:
        raise ArgumentError(
            f"There is no precision {precision!r}.",
            hint=f"use {', '.join([AUTO, *(p.value for p in Precision)])}.",
        ) from error


def _with_home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~NAME of nobody here
        return Path(path)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # too long for a path, or behind a folder that may not be read
        return False


def _from_entry(entry: Entry, chosen: Precision | None, catalog: Catalog, files: ModelFiles) -> WantedModel:
    if entry.family not in RUNNABLE_FAMILIES:
        raise ModelNotRunnableError(
            f"Smallsight {__version__} has no code that runs {entry.name}.",
            hint=f"it arrives with {entry.available_in}; `smallsight models` says what runs now.",
        )
    if entry.precision is None:
        return WantedModel(entry.name, entry.family, None, None, 0)
    if entry.base is not None and chosen not in {None, *entry.precisions}:
        raise ArgumentError(
            f"{entry.name} is loaded in {entry.precision.value}, not in {chosen}.",
            hint=f"load {catalog.base_of(entry).name} with that precision.",
        )
    precision = chosen or entry.precision
    found = files.locate(entry)
    if found is None:
        raise ModelUnavailableError(
            f"The files of {entry.name} are not on this machine.",
            hint=f"`smallsight models pull {entry.name}` fetches them, "
            "`smallsight models add DIR` takes a folder that you have.",
        )
    return WantedModel(entry.name, entry.family, found.directory, precision, running_bytes(entry, precision))


class _Checkpoints:
    """Checkpoints that were read, for as long as no file of theirs changes: a server asks at each request."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[str, Mapping[str, str], Checkpoint]] = {}

    def open(self, directory: Path, model_types: Mapping[str, str]) -> Checkpoint:
        """Return what ``open_checkpoint`` does, which reads the header of every file of weights."""
        mark = mark_of_files(directory)
        known = self._read.get(directory)
        if mark and known is not None and known[0] == mark and known[1] is model_types:
            return known[2]
        checkpoint = open_checkpoint(directory, model_types)
        if len(self._read) >= _MOST_CHECKPOINTS:
            self._read.clear()
        self._read[directory] = mark, model_types, checkpoint
        return checkpoint


_CHECKPOINTS = _Checkpoints()


def _from_folder(
    directory: Path, name: str | None, chosen: Precision | None, catalog: Catalog
) -> WantedModel:
    directory = directory.absolute()
    checkpoint = _CHECKPOINTS.open(directory, catalog.model_types)
    if checkpoint.family not in RUNNABLE_FAMILIES:
        raise ModelNotRunnableError(
            f"{directory} holds a {checkpoint.family} model, which this release does not run yet.",
            hint=f"it runs {', '.join(sorted(RUNNABLE_FAMILIES - {TEST_FAMILY}))}.",
        )
    precision = chosen or _PRECISION_OF_FOLDERS
    weights_bytes = checkpoint.num_parameters * _BITS[precision] // 8
    return WantedModel(name or directory.name, checkpoint.family, directory, precision, weights_bytes)
