"""Finds a model's files: in a registered directory, this package or the Hugging Face cache."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from smallsight.catalog.catalog import Catalog
from smallsight.catalog.checkpoint import find_weight_files
from smallsight.catalog.entry import Entry
from smallsight.catalog.hub_cache import CachedRepository
from smallsight.catalog.manifest import Pins
from smallsight.catalog.registered import RegisteredModels
from smallsight.errors import BrokenCheckpointError, ModelUnavailableError


class Source(StrEnum):
    """Where a model's files come from."""

    DIRECTORY = "registered directory"
    PACKAGE = "this package"
    HUB_CACHE = "Hugging Face cache"


_SHIPPED = Path(__file__).parent.parent / "shipped"


@dataclass(frozen=True)
class FoundFiles:
    """A directory in Hugging Face layout with all files of a model; ``commit`` is set only in the cache."""

    directory: Path
    source: Source
    size_bytes: int
    repository: str | None = None
    commit: str | None = None


@dataclass(frozen=True)
class ModelFiles:
    """Looks up a model's files in every source."""

    catalog: Catalog
    registered: RegisteredModels
    pins: Pins
    cache_dir: Path

    def locate(self, entry: Entry) -> FoundFiles | None:
        """Return the files of an entry (for a variant, those of its base), or None if they are absent.

        A directory registered under the entry's or its base's name takes precedence. A model without a
        repository ships with this package. In the cache, the pinned commit is used if there is one, otherwise
        the commit that another program fetched last.
        """
        for name in dict.fromkeys((entry.name, self.catalog.base_of(entry).name)):
            registered = self.registered.get(name)
            if registered is not None and registered.family == entry.family:
                size_bytes = complete_size_bytes(registered.directory)
                if size_bytes is not None:
                    return FoundFiles(registered.directory, Source.DIRECTORY, size_bytes)
        if entry.repository is None:
            return _shipped(self.catalog.base_of(entry).name)
        for repository in (entry.repository, *entry.other_repositories):
            found = self._in_cache(repository, entry.revision)
            if found is not None:
                return found
        return None

    def watched(self, entry: Entry) -> tuple[Path, ...]:
        """Return the files and folders whose changes may affect what ``locate`` returns for an entry."""
        names = dict.fromkeys((entry.name, self.catalog.base_of(entry).name))
        paths = [own.directory for name in names if (own := self.registered.get(name)) is not None]
        if entry.repository is None:
            return (*paths, _SHIPPED / self.catalog.base_of(entry).name)
        for repository in (entry.repository, *entry.other_repositories):
            cached = CachedRepository(self.cache_dir, repository)
            pinned = self.pins.get(repository, entry.revision)
            commit = cached.commit_at(entry.revision) if pinned is None else pinned.commit
            paths.append(cached.ref_path(entry.revision))
            if commit is not None:
                paths.append(cached.snapshot_dir(commit))
        return tuple(paths)

    def unfinished(self, entry: Entry) -> FoundFiles | None:
        """Return the files that an interrupted pull left in the cache, or None."""
        pinned = None if entry.repository is None else self.pins.get(entry.repository, entry.revision)
        if pinned is None or entry.repository is None:
            return None
        folder = CachedRepository(self.cache_dir, entry.repository).folder
        blobs = [path for path in folder.glob("blobs/*") if path.is_file()]
        if not blobs:
            return None
        size_bytes = sum(path.stat().st_size for path in blobs)
        return FoundFiles(folder, Source.HUB_CACHE, size_bytes, entry.repository, pinned.commit)

    def _in_cache(self, repository: str, revision: str) -> FoundFiles | None:
        cached = CachedRepository(self.cache_dir, repository)
        pinned = self.pins.get(repository, revision)
        commit = cached.commit_at(revision) if pinned is None else pinned.commit
        if commit is None:
            return None
        directory = cached.snapshot_dir(commit)
        if pinned is not None and not all(_has_size(directory / f.path, f.size_bytes) for f in pinned.files):
            return None
        size_bytes = complete_size_bytes(directory)
        if size_bytes is None:
            return None
        return FoundFiles(directory, Source.HUB_CACHE, size_bytes, repository, commit)


def is_shipped(name: str) -> bool:
    """Return whether the model's files are part of the package."""
    return _shipped(name) is not None


def shipped_directory(name: str) -> Path:
    """Return the folder in which this package has a model's files; raises ModelUnavailableError."""
    directory = _SHIPPED / name
    if complete_size_bytes(directory) is None:
        raise ModelUnavailableError(
            f"The files of {name}, which come with Smallsight, are not in {directory}.",
            hint="install Smallsight again.",
        )
    return directory


def _shipped(name: str) -> FoundFiles | None:
    directory = _SHIPPED / name
    size_bytes = complete_size_bytes(directory)
    return None if size_bytes is None else FoundFiles(directory, Source.PACKAGE, size_bytes)


def complete_size_bytes(directory: Path) -> int | None:
    """Return the total size of a checkpoint's files, or None if configuration or weights are missing."""
    if not (directory / "config.json").is_file():
        return None
    try:
        find_weight_files(directory)
    except BrokenCheckpointError:
        return None
    return sum(path.stat().st_size for path in directory.iterdir() if path.is_file())


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False
