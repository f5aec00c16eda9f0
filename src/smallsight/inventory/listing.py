"""The models of this machine as one list: those of the catalogue, those with files here, and which fit.

Computes the costly facts: parameters, memory, completeness, downloads. The command line shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from smallsight.catalog.catalog import Catalog
from smallsight.catalog.checkpoint import open_checkpoint
from smallsight.catalog.entry import Entry, Precision
from smallsight.catalog.files import FoundFiles, Source, is_shipped
from smallsight.catalog.hub import Hub, OnBytes, Pulled, remove_from_cache
from smallsight.catalog.hub_cache import repository_of_snapshot
from smallsight.catalog.registered import RegisteredModel, RegisteredVariant
from smallsight.errors import ArgumentError, ModelError, ModelUnavailableError, UnknownModelError
from smallsight.families.registry import find_family
from smallsight.inventory.footprint import (
    Footprints,
    parameter_count,
    running_bytes,
    weights_bytes,
    weights_in_scheme,
)
from smallsight.inventory.known_model import KnownModel
from smallsight.inventory.names import FOR_LOADING, HERE, Names, Origin
from smallsight.machine.memory import usable_memory_bytes
from smallsight.quant.scheme import parse_scheme
from smallsight.settings import Settings

_COMFORTABLE_SHARE = 0.7  # of the memory; the rest is for the system and other programs
_MAX_NAME_CHARS = 100


class Fit(StrEnum):
    """Whether a model can run in this machine's memory."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_LARGE = "too large"


@dataclass(frozen=True)
class ModelStatus:
    """One model on this machine.

    ``entry`` is None for a directory that the catalogue does not know. ``memory_bytes`` holds the weights
    in each offered precision, the default first; ``running_bytes`` estimates what answering takes in the
    default one.
    """

    name: str
    family: str
    entry: Entry | None
    files: FoundFiles | None
    parameters: int | None
    memory_bytes: Mapping[Precision, int]
    running_bytes: int
    fit: Fit
    download_bytes: int | None = None
    problem: str | None = None
    variant: RegisteredVariant | None = None


@dataclass(frozen=True)
class Removal:
    """What `remove` would do: unregister a directory or variant, or delete files from the cache.

    ``directory`` is None for a variant.
    """

    name: str
    directory: Path | None
    source: Source
    frees_bytes: int
    also_used_by: tuple[str, ...]
    repository: str | None = None
    revision: str | None = None
    commit: str | None = None


class ModelService:
    """Lists, shows, pulls, registers and removes models."""

    def __init__(
        self,
        settings: Settings,
        *,
        catalog: Catalog | None = None,
        cache_dir: Path | None = None,
        endpoint: str | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self.memory_bytes = usable_memory_bytes() if memory_bytes is None else memory_bytes
        self._endpoint = endpoint
        self._names = Names(catalog=catalog, cache_dir=cache_dir)
        self._settings = settings
        self._files = self._names.files(settings)
        self.catalog = self._names.catalog

    def list(self) -> tuple[ModelStatus, ...]:
        """Return every model: the catalogue's, then the user's own directories and variants."""
        own = [m for m in self._files.registered.all() if self.catalog.get(m.name) is None]
        return (
            *(self._status_of_entry(entry) for entry in self.catalog.entries),
            *(self._status_of_directory(model) for model in own),
            *(self._status_of_variant(variant) for variant in self._files.registered.variants()),
        )

    def show(self, name: str) -> ModelStatus:
        """Return one model, and check the headers of its files; raises UnknownModelError."""
        found = self._names.which(name, HERE, self._settings)
        if isinstance(found, Entry):
            return self._status_of_entry(found, check=True)
        if isinstance(found, RegisteredVariant):
            return self._status_of_variant(found)
        assert isinstance(found, RegisteredModel)  # noqa: S101 - for the type checker: the other origin
        return self._status_of_directory(found)

    def pull(
        self,
        name: str,
        *,
        offline: bool = False,
        update: bool = False,
        on_progress: OnBytes | None = None,
    ) -> Pulled:
        """Fetch a model's files unless they are here.

        ``on_progress`` is called with the bytes here, the bytes in total, and the current file.
        """
        entry = self._entry(name)
        hub = Hub(self._files.pins, self._files.cache_dir, endpoint=self._endpoint, is_offline=offline)
        found = self._files.locate(entry)
        if found is not None and (found.source is Source.DIRECTORY or (hub.downloads_are_off and not update)):
            return Pulled(found.directory, found.commit, found.size_bytes, received_bytes=0)
        if entry.repository is None:
            raise ModelUnavailableError(
                f"{entry.name} has nothing to pull.",
                hint=f"it comes inside the package, in Smallsight {entry.available_in}.",
            )
        return hub.pull(entry, update=update, on_progress=on_progress)

    def add(self, directory: Path, name: str | None = None) -> RegisteredModel:
        """Register a directory in Hugging Face layout after checking it; the folder is not changed.

        ``name`` defaults to the folder's, or to the repository's for a snapshot inside a hub cache. Under a
        catalogue name it supplies that model's files. Raises BrokenCheckpointError, ModelNotRunnableError,
        ArgumentError.
        """
        directory = directory.expanduser().absolute()
        checkpoint = open_checkpoint(directory, self.catalog.model_types)
        if name is None:
            repository = repository_of_snapshot(directory)
            name = directory.resolve().name if repository is None else repository.rsplit("/", 1)[-1]
        name = _checked_name(name, "--name NAME")
        entry = self.catalog.get(name)
        if entry is not None and is_shipped(self.catalog.base_of(entry).name):
            raise ArgumentError(
                f"{entry.name} is part of the package.", hint="register it under another name: --name NAME."
            )
        if entry is not None and entry.family != checkpoint.family:
            raise ArgumentError(
                f"{directory} holds a {checkpoint.family} model, but {entry.name} is a {entry.family} model.",
                hint="register it under another name: --name NAME.",
            )
        find_family(checkpoint.family).check_folder(directory, self._settings.prepared_dir)
        model = RegisteredModel(name if entry is None else entry.name, directory, checkpoint.family)
        self._files.registered.add(model)
        return model

    def add_variant(self, name: str, base: str, scheme: str) -> RegisteredVariant:
        """Save a model in a quantisation scheme as a named model, replacing a variant of that name.

        ``base`` is a model of the catalogue, a registered name or a folder, with files here. Raises
        ArgumentError for a name that is taken or a scheme that cannot be read, and what resolving raises.
        """
        name = _checked_name(name, "smallsight models add-variant NAME")
        parsed = parse_scheme(scheme)
        if self.catalog.get(name) is not None or self._files.registered.get(name) is not None:
            raise ArgumentError(
                f"There is already a model {name}.", hint="save the variant under another name."
            )
        found = self._names.resolve(base, FOR_LOADING - {Origin.REMOTE}, self._settings)
        assert isinstance(found, KnownModel)  # noqa: S101 - for the type checker: remotes are left out
        found.in_scheme(parsed)  # raises where the base is a variant, or has no weights
        base_name = found.name if found.is_named else str(found.directory)
        if found.entry is not None:
            base_name = self.catalog.base_of(found.entry).name
        variant = RegisteredVariant(name, base_name, str(parsed))
        self._files.registered.add_variant(variant)
        return variant

    def plan_removal(self, name: str) -> Removal:
        """Return what removing a model would do, without doing it.

        Raises UnknownModelError, and ModelUnavailableError if the model has no files here.
        """
        self._names.which(name, HERE, self._settings)  # raises for an unknown one
        registered = self._files.registered.get(name)
        entry = self.catalog.get(name)
        variant = self._files.registered.variant(name)
        if entry is None and registered is None and variant is not None:
            return Removal(variant.name, None, Source.DIRECTORY, 0, ())
        found = None if entry is None else self._files.locate(entry)
        if registered is None and found is not None and found.source is Source.DIRECTORY:
            registered = next(m for m in self._files.registered.all() if m.directory == found.directory)
        sharing = () if entry is None else tuple(e.name for e in self.catalog.sharing_files_with(entry))
        if registered is not None:
            return Removal(registered.name, registered.directory, Source.DIRECTORY, 0, sharing)
        assert entry is not None  # noqa: S101 - for the type checker: one of the two was found above
        if found is None:
            found = self._partial(entry)
        return Removal(
            entry.name,
            found.directory,
            Source.HUB_CACHE,
            found.size_bytes,
            sharing,
            repository=found.repository,
            revision=entry.revision,
            commit=found.commit,
        )

    def remove(self, removal: Removal) -> int:
        """Carry out a removal and return the bytes freed; a registered folder is only unregistered."""
        if removal.source is Source.DIRECTORY:
            self._files.registered.forget(removal.name)
            return 0
        if removal.repository is None or removal.commit is None or removal.revision is None:
            return 0
        freed_bytes = remove_from_cache(self._files.cache_dir, removal.repository, removal.commit)
        self._files.pins.forget(removal.repository, removal.revision)
        return freed_bytes

    def _partial(self, entry: Entry) -> FoundFiles:
        """Return the files of an unfinished pull; raises ModelUnavailableError if there are none."""
        found = self._files.unfinished(entry)
        if found is None:
            raise UnknownModelError(
                f"{entry.name} has no files on this machine.", hint="there is nothing to remove."
            )
        return found

    def _status_of_entry(self, entry: Entry, *, check: bool = False) -> ModelStatus:
        files = self._files.locate(entry)
        needed_bytes = 0 if entry.precision is None else running_bytes(entry, entry.precision)
        return ModelStatus(
            name=entry.name,
            family=entry.family,
            entry=entry,
            files=files,
            parameters=parameter_count(entry),
            memory_bytes={p: weights_bytes(entry, p) for p in entry.precisions},
            running_bytes=needed_bytes,
            fit=self._fit(needed_bytes),
            download_bytes=self._download_bytes(entry),
            problem=self._problem(files.directory) if check and files is not None else None,
        )

    def _status_of_directory(self, model: RegisteredModel) -> ModelStatus:
        """Return the status of a directory that is not in the catalogue, from its files' headers."""
        try:
            checkpoint = open_checkpoint(model.directory, self.catalog.model_types)
        except ModelError as error:
            return ModelStatus(
                model.name, model.family, None, None, None, {}, 0, Fit.FITS, problem=error.message
            )
        files = FoundFiles(model.directory, Source.DIRECTORY, checkpoint.weights_bytes)
        return ModelStatus(
            name=model.name,
            family=model.family,
            entry=None,
            files=files,
            parameters=checkpoint.num_parameters,
            memory_bytes={},
            running_bytes=checkpoint.weights_bytes,
            fit=self._fit(checkpoint.weights_bytes),
        )

    def _status_of_variant(self, variant: RegisteredVariant) -> ModelStatus:
        try:
            model = self._names.resolve(variant.name, HERE, self._settings)
            assert isinstance(model, KnownModel)  # noqa: S101 - for the type checker: remotes are left out
            assert model.directory is not None  # noqa: S101
            assert model.scheme is not None  # noqa: S101
            needed_bytes = Footprints(self.catalog.model_types).needed_bytes(model, model.precision())
            checkpoint = open_checkpoint(model.directory, self.catalog.model_types)
        except ModelError as error:
            return ModelStatus(
                variant.name, "", None, None, None, {}, 0, Fit.FITS, problem=error.message, variant=variant
            )
        stored_bytes = weights_in_scheme(model, model.scheme, self.catalog.model_types)
        return ModelStatus(
            name=variant.name,
            family=model.family,
            entry=None,
            files=FoundFiles(model.directory, Source.DIRECTORY, checkpoint.weights_bytes),
            parameters=checkpoint.num_parameters,
            memory_bytes={Precision(model.scheme.name): stored_bytes},
            running_bytes=needed_bytes,
            fit=self._fit(needed_bytes),
            variant=variant,
        )

    def _download_bytes(self, entry: Entry) -> int | None:
        """Estimate what a pull fetches: the weights as the hub stores them."""
        if entry.repository is None or entry.checkpoint_precision is None:
            return None
        return weights_bytes(entry, entry.checkpoint_precision)

    def _problem(self, directory: Path) -> str | None:
        try:
            open_checkpoint(directory, self.catalog.model_types)
        except ModelError as error:
            return error.message
        return None

    def _fit(self, needed_bytes: int) -> Fit:
        if needed_bytes <= self.memory_bytes * _COMFORTABLE_SHARE:
            return Fit.FITS
        return Fit.TIGHT if needed_bytes <= self.memory_bytes else Fit.TOO_LARGE

    def _entry(self, name: str) -> Entry:
        found = self._names.which(name, HERE, self._settings)
        if isinstance(found, Entry):
            return found
        if isinstance(found, RegisteredVariant):
            raise ModelUnavailableError(
                f"{found.name} is a variant of {found.base}, so there is nothing to pull.",
                hint=f"`smallsight models pull {found.base}` fetches its files.",
            )
        raise ModelUnavailableError(
            f"{name} is a folder you registered, so there is nothing to pull.",
            hint="`smallsight models show NAME` says where it is.",
        )


def _checked_name(name: str, where: str) -> str:
    """Return a model's name without blanks around it; raises ArgumentError if it is not one."""
    name = name.strip()
    if not 0 < len(name) <= _MAX_NAME_CHARS or not name.isprintable() or "/" in name:
        raise ArgumentError(
            f"Invalid model name {name!r}.",
            hint=f"use up to {_MAX_NAME_CHARS} characters without slashes: {where}.",
        )
    return name
