"""The list of the models that can be used now, kept until a file or setting that it depends on changes.

Looking whether it still holds takes a few calls of ``stat``; making it reads headers and small files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from smallsight.catalog.checkpoint import mark_of_files
from smallsight.catalog.entry import Entry
from smallsight.catalog.files import Source
from smallsight.catalog.registered import RegisteredModels
from smallsight.errors import ModelError, SmallsightError
from smallsight.families.registry import FAMILIES
from smallsight.inventory.footprint import Footprints
from smallsight.inventory.known_model import KnownModel
from smallsight.inventory.names import FOR_CLIENTS, HERE, TEST_FAMILY, FileMark, KnownRemote, Names, marks_of
from smallsight.settings import Settings

_NO_OWNER, _REMOTE = "smallsight", "remote"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model in the list; ``context_tokens`` is None where it is not known, as for other servers."""

    name: str
    owner: str
    created_s: int
    context_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _KeptList:
    """A list, and what it depends on: settings, files and folders, and folders with all their files."""

    models: tuple[ListedModel, ...]
    settings: Settings
    paths: tuple[Path, ...]
    folders: tuple[Path, ...]
    marks: tuple[tuple[FileMark, ...], tuple[str, ...]]


class ModelList:
    """Lists models: the active one first, then those of other servers and of this machine, then aliases.

    Thread-safe.
    """

    def __init__(self, names: Names, footprints: Footprints) -> None:
        self._names = names
        self._footprints = footprints
        self._kept: _KeptList | None = None

    def under(self, settings: Settings) -> tuple[ListedModel, ...]:
        """Return every model that can be used: files here, supported by this release, headers readable.

        ``test`` is listed only while it is the active model.
        """
        if (kept := self.kept(settings)) is not None:
            return kept
        paths = self._names.watched(settings)
        folders = tuple(sorted(self._folders(settings)))
        marks = _marks(paths, folders)  # taken first, so that a change meanwhile is noticed
        models = self._models(settings)
        self._kept = _KeptList(models, settings, paths, folders, marks)
        return models

    def kept(self, settings: Settings) -> tuple[ListedModel, ...] | None:
        """Return the list made before, None if there is none or something has changed since."""
        kept = self._kept
        if kept is None or kept.settings is not settings or kept.marks != _marks(kept.paths, kept.folders):
            return None
        return kept.models

    def described(self, name: str, settings: Settings) -> ListedModel | None:
        """Return the model of this exact name, also one that is not listed; None if it cannot be used."""
        wanted = next((one for one in self.under(settings) if one.name == name), None)
        return wanted or self._usable(name, settings)

    def _models(self, settings: Settings) -> tuple[ListedModel, ...]:
        listed = [ListedModel(name, _REMOTE, 0) for name in sorted(settings.remotes)]
        listed += [self._listed(model) for model in self._models_here(settings)]
        by_name: dict[str, ListedModel] = {}
        active = None if settings.active_model is None else self._usable(settings.active_model, settings)
        for one in [active, *listed] if active is not None else listed:
            by_name.setdefault(one.name.casefold(), one)
        for alias in settings.aliases:
            target = self._usable(alias, settings)
            if target is not None:
                by_name.setdefault(alias.casefold(), replace(target, name=alias))
        return tuple(by_name.values())

    def _usable(self, name: str, settings: Settings) -> ListedModel | None:
        try:
            model = self._names.resolve(settings.meant_by(name), FOR_CLIENTS, settings)
        except SmallsightError:
            return None  # a request for it reports why
        if isinstance(model, KnownRemote):
            return ListedModel(model.name, _REMOTE, 0)
        return self._listed(model)

    def _models_here(self, settings: Settings) -> Iterator[KnownModel]:
        """Yield the catalogue's models, then the user's own, whose files are here and readable."""
        catalog = self._names.catalog
        own = RegisteredModels(settings.models_path).names()
        names = [entry.name for entry in catalog.entries if entry.is_runnable]
        names += [name for name in own if catalog.get(name) is None]
        for name in names:
            try:
                model = self._names.resolve(name, HERE, settings)
                if isinstance(model, KnownRemote) or model.family == TEST_FAMILY:
                    continue
                if model.entry is None:
                    self._footprints.needed_bytes(model, model.precision())  # reads its headers
            except ModelError:
                continue
            yield model

    def _folders(self, settings: Settings) -> Iterator[Path]:
        """Yield the folders whose every file counts: those of models that are here, each once.

        The package's files do not change, and looking at each would be most of the calls of ``stat``.
        """
        folders = {own.directory for own in RegisteredModels(settings.models_path).all()}
        if settings.active_model is not None:
            folders.add(Path(settings.active_model).expanduser())
        files = self._names.files(settings)
        found = (files.locate(entry) for entry in self._names.catalog.entries if entry.is_runnable)
        here = (one for one in found if one is not None and one.source is not Source.PACKAGE)
        yield from folders | {one.directory for one in here}

    def _listed(self, model: KnownModel) -> ListedModel:
        if model.directory is None:
            return ListedModel(model.name, _owner(model.entry), 0)
        context_tokens = _context_tokens(model.family, model.directory)
        return ListedModel(model.name, _owner(model.entry), _changed_s(model.directory), context_tokens)


def _marks(
    paths: tuple[Path, ...], folders: tuple[Path, ...]
) -> tuple[tuple[FileMark, ...], tuple[str, ...]]:
    return marks_of(paths), tuple(mark_of_files(folder) for folder in folders)


def _context_tokens(family: str, directory: Path) -> int | None:
    read = None if family not in FAMILIES else FAMILIES[family].context_tokens
    try:
        return None if read is None else read(directory)
    except SmallsightError:
        return None


def _owner(entry: Entry | None) -> str:
    repository = None if entry is None else entry.repository
    return _NO_OWNER if repository is None else repository.partition("/")[0]


def _changed_s(folder: Path) -> int:
    try:
        return int(folder.stat().st_mtime)
    except OSError:
        return 0
