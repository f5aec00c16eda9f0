"""Resolves the names of models: the only module that knows where they are looked up, and in which order.

Cheap: reads no weights, loads nothing and fetches nothing. How much memory a model needs is in ``footprint``,
the list of this machine's models in ``listing``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from smallsight.catalog.catalog import Catalog, load_catalog, unknown_model
from smallsight.catalog.checkpoint import find_weight_files, mark_of_files, read_family
from smallsight.catalog.entry import Entry
from smallsight.catalog.files import ModelFiles
from smallsight.catalog.hub_cache import default_cache_dir
from smallsight.catalog.manifest import Pins
from smallsight.catalog.registered import RegisteredModel, RegisteredModels, RegisteredVariant
from smallsight.errors import (
    ArgumentError,
    ModelNotRunnableError,
    ModelUnavailableError,
    UnknownModelError,
)
from smallsight.families.registry import FAMILIES
from smallsight.inventory.known_model import AUTO, KnownModel
from smallsight.library_settings import LibrarySettings
from smallsight.quant.scheme import parse_scheme
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import Settings
from smallsight.version import __version__

__all__ = [
    "AUTO",
    "FOR_CLIENTS",
    "FOR_LOADING",
    "HERE",
    "LISTED",
    "RUNNABLE_FAMILIES",
    "TEST_FAMILY",
    "FileMark",
    "KnownRemote",
    "Names",
    "Origin",
    "marks_of",
]

TEST_FAMILY = "test"
RUNNABLE_FAMILIES = frozenset((TEST_FAMILY, *FAMILIES))
FileMark = tuple[int, int, int] | None
_MAX_CACHED = 64
_REVISIONS = "model-revisions.json"


class Origin(Enum):
    """Where a name may come from, in order of precedence."""

    REMOTE = auto()  # the setting ``remotes``
    CATALOGUE = auto()
    REGISTERED = auto()  # `smallsight models add` and `add-variant`
    ACTIVE = auto()  # the folder that the setting ``active_model`` names, by its path or last component
    FOLDER = auto()  # any other path


HERE = frozenset((Origin.CATALOGUE, Origin.REGISTERED))
LISTED = HERE | {Origin.REMOTE}
FOR_LOADING = LISTED | {Origin.FOLDER}
FOR_CLIENTS = LISTED | {Origin.ACTIVE}  # a client's name is never taken for a path
_FOR_VARIANTS = HERE | {Origin.FOLDER}


@dataclass(frozen=True, slots=True)
class KnownRemote:
    """A model that another server runs; ``name`` is spelt as in the settings."""

    name: str
    settings: RemoteSettings


Meaning = KnownRemote | Entry | RegisteredModel | RegisteredVariant | Path
_Local = Entry | RegisteredModel | RegisteredVariant | Path


@dataclass(frozen=True, slots=True)
class _CachedName:
    """A resolved name; valid while the settings and the marks of the watched files are the same."""

    model: KnownModel
    settings: Settings
    watched: tuple[Path, ...]
    marks: tuple[FileMark, ...]


class Names:
    """Resolves names under given settings, and caches the results. Thread-safe."""

    def __init__(self, *, catalog: Catalog | None = None, cache_dir: Path | None = None) -> None:
        self.catalog = catalog or load_catalog()
        self._cache_dir = cache_dir or default_cache_dir()
        self._cached: dict[tuple[str, frozenset[Origin]], _CachedName] = {}

    def which(self, name: str, among: frozenset[Origin], settings: Settings) -> Meaning:
        """Return what a name stands for, looking in these origins by precedence.

        Case does not matter, except in paths. Raises UnknownModelError with the nearest names.
        """
        for origin in Origin:
            if origin in among and (found := self._look_up(name, origin, settings)) is not None:
                return found
        registered = RegisteredModels(settings.models_path).names()
        raise unknown_model(name, [*(entry.name for entry in self.catalog.entries), *registered])

    def base_of(self, variant: RegisteredVariant, settings: Settings) -> Entry | RegisteredModel | Path:
        """Return the base of a saved variant; raises ModelUnavailableError if it has been removed."""
        try:
            base = self.which(variant.base, _FOR_VARIANTS, settings)
        except UnknownModelError as error:
            raise ModelUnavailableError(
                f"{variant.name} is a variant of {variant.base}, which is no longer here.",
                hint=f"add {variant.base} again, or `smallsight models remove {variant.name}`.",
            ) from error
        if isinstance(base, KnownRemote | RegisteredVariant):
            raise ModelNotRunnableError(
                f"{variant.name} is a variant of {variant.base}, which is itself a variant.",
                hint=f"`smallsight models remove {variant.name}`, then save it for a model.",
            )
        return base

    def resolve(
        self, name: str | os.PathLike[str], among: frozenset[Origin], settings: Settings
    ) -> KnownModel | KnownRemote:
        """Return the model that a name or a folder stands for, with its family and files.

        ``./NAME`` and path objects always mean a folder. The result is cached until a file or setting that
        it depends on changes. Raises UnknownModelError, ModelUnavailableError when the files are not
        here, ModelNotRunnableError and BrokenCheckpointError.
        """
        if not isinstance(name, str):
            return self._of_folder(Path(name), None)
        known = self._cached.get((name, among))
        if known is not None and known.settings is settings and _is_valid(known):
            return known.model
        meaning = self.which(name, among, settings)
        if isinstance(meaning, KnownRemote):
            return meaning
        watched = self._watched(meaning, settings)
        marks = marks_of(watched)  # taken first, so that a change meanwhile is noticed
        model = self._model(meaning, settings)
        if len(self._cached) >= _MAX_CACHED:
            self._cached.clear()
        self._cached[name, among] = _CachedName(model, settings, watched, marks)
        return model

    def watched(self, settings: Settings) -> tuple[Path, ...]:
        """Return the files and folders whose change may add a model to this machine, or take one away."""
        entries = [entry for entry in self.catalog.entries if entry.is_runnable]
        return tuple(dict.fromkeys(path for one in entries for path in self._watched(one, settings)))

    def files(self, settings: LibrarySettings) -> ModelFiles:
        """Return the locator of the files of catalogue models."""
        return ModelFiles(
            catalog=self.catalog,
            registered=RegisteredModels(settings.models_path),
            pins=Pins(settings.home / _REVISIONS),
            cache_dir=self._cache_dir,
        )

    def _look_up(self, name: str, origin: Origin, settings: Settings) -> Meaning | None:
        match origin:
            case Origin.REMOTE:
                return _find_remote(name, settings)
            case Origin.CATALOGUE:
                return self.catalog.get(name)
            case Origin.REGISTERED:
                own = RegisteredModels(settings.models_path)
                return own.get(name) or own.variant(name)
            case Origin.ACTIVE:
                return _active_folder(name, settings)
            case _:
                return _folder(name)

    def _model(self, meaning: _Local, settings: Settings) -> KnownModel:
        if isinstance(meaning, RegisteredVariant):
            return self._of_variant(meaning, settings)
        if isinstance(meaning, Entry):
            return self._of_entry(meaning, settings)
        if isinstance(meaning, RegisteredModel):
            return self._of_folder(meaning.directory, meaning.name)
        return self._of_folder(meaning, None)

    def _of_entry(self, entry: Entry, settings: Settings) -> KnownModel:
        if entry.family not in RUNNABLE_FAMILIES:
            raise ModelNotRunnableError(
                f"Smallsight {__version__} cannot run {entry.name}.",
                hint=f"it arrives with {entry.available_in}; `smallsight models` lists what runs now.",
            )
        if entry.precision is None:
            return KnownModel(entry.name, entry.family, None, entry)
        found = self.files(settings).locate(entry)
        if found is None:
            raise ModelUnavailableError(
                f"The files of {entry.name} are not on this machine.",
                hint=f"`smallsight models pull {entry.name}` fetches them, "
                "`smallsight models add DIR` registers a folder that you have.",
            )
        mark = mark_of_files(found.directory)
        return KnownModel(entry.name, entry.family, found.directory, entry, mark)

    def _of_variant(self, variant: RegisteredVariant, settings: Settings) -> KnownModel:
        try:
            scheme = parse_scheme(variant.scheme)
        except ArgumentError as error:
            raise ModelNotRunnableError(
                f"The scheme of {variant.name} cannot be used: {error.message}",
                hint=f"`smallsight models remove {variant.name}`, then save it again.",
            ) from error
        base = self._model(self.base_of(variant, settings), settings)
        return replace(base.in_scheme(scheme), name=variant.name, is_named=True)

    def _of_folder(self, directory: Path, name: str | None) -> KnownModel:
        directory = directory.absolute()
        mark = mark_of_files(directory)
        family = read_family(directory, self.catalog.model_types)
        find_weight_files(directory)
        if family not in RUNNABLE_FAMILIES:
            raise ModelNotRunnableError(
                f"{directory} holds a {family} model, which this release cannot run.",
                hint=f"it runs {', '.join(sorted(RUNNABLE_FAMILIES - {TEST_FAMILY}))}.",
            )
        is_named = name is not None
        return KnownModel(name or directory.name, family, directory, files_mark=mark, is_named=is_named)

    def _watched(self, meaning: _Local, settings: Settings) -> tuple[Path, ...]:
        """Return the files and folders whose change may change the meaning of a name."""
        if isinstance(meaning, RegisteredVariant):
            return self._watched(self.base_of(meaning, settings), settings)
        state = (settings.models_path, settings.home / _REVISIONS)
        return (*state, *self.files(settings).watched(meaning)) if isinstance(meaning, Entry) else state


def _find_remote(name: str, settings: Settings) -> KnownRemote | None:
    wanted = name.casefold()
    return next((KnownRemote(*one) for one in settings.remotes.items() if one[0].casefold() == wanted), None)


def _active_folder(name: str, settings: Settings) -> Path | None:
    active = settings.active_model
    if active is None:
        return None
    folder = Path(active).expanduser().absolute()
    return folder if name in (active, folder.name) and folder.is_dir() else None


def _folder(name: str) -> Path | None:
    """Return the folder of this path, or None.

    Raises BrokenCheckpointError for a missing folder that can only be meant as a path.
    """
    try:
        directory = Path(name).expanduser()
    except RuntimeError:  # ~NAME without such a user
        directory = Path(name)
    try:
        if directory.is_dir():
            return directory
    except OSError:  # too long for a path, or behind a folder that may not be read
        pass
    if name.startswith((".", "~", os.sep)):
        raise UnknownModelError(
            f"No such folder: {directory}.", hint="give the folder that holds config.json, or a name."
        )
    return None


def _is_valid(known: _CachedName) -> bool:
    directory, mark = known.model.directory, known.model.files_mark
    return known.marks == marks_of(known.watched) and (directory is None or mark_of_files(directory) == mark)


def marks_of(paths: Iterable[Path]) -> tuple[FileMark, ...]:
    """Return time of change, size and inode of each file or folder; None for one that does not exist."""
    marks: list[FileMark] = []
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat
        except OSError:
            marks.append(None)
        else:
            marks.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(marks)
