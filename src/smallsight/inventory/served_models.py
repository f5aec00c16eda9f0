"""The models that a server offers: their names, and the settings with which each is loaded and sampled.

A name from a client is never interpreted as a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from smallsight.catalog.entry import Entry
from smallsight.catalog.registered import RegisteredModels
from smallsight.errors import (
    BadRequestError,
    ModelError,
    ModelUnavailableError,
    SmallsightError,
    UnknownModelError,
)
from smallsight.inventory.footprint import Footprints
from smallsight.inventory.known_model import KnownModel
from smallsight.inventory.names import FOR_CLIENTS, FOR_LOADING, HERE, KnownRemote, Names, Origin
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import ModelSettings, Settings

_Value = TypeVar("_Value")
_GIB = 1024**3
_HERE_FOR_CLIENTS = FOR_CLIENTS - {Origin.REMOTE}
_NO_OWNER, _REMOTE = "smallsight", "remote"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that can be used now, how it is loaded, and its defaults for requests.

    ``source`` is a name or a folder. ``needed_bytes`` is the needed memory from the settings, None means its
    footprint. ``max_bytes`` is its memory limit, None means the server's limit. With ``remote`` another
    server runs it, and nothing is loaded.
    """

    name: str
    source: str | Path
    precision: str
    device: str
    needed_bytes: int | None
    max_bytes: int | None
    cleanup_aggressive: bool
    max_tokens: int
    temperature: float
    files_mark: str = ""
    remote: RemoteSettings | None = None

    @property
    def load_key(self) -> tuple[str, str, str, str]:
        """Everything that affects loading, its files included; another key means loading it again."""
        return str(self.source), self.precision, self.device, self.files_mark


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model in the list of models."""

    name: str
    owner: str
    created_s: int


@dataclass(frozen=True, slots=True)
class _LastServed:
    """A previous result; valid for the same model under the same settings."""

    model: KnownModel
    settings: Settings
    served: ServedModel


class ServedModels:
    """Finds and lists models under the settings in force at the time of the call. Thread-safe."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._names = Names()
        self._footprints = Footprints(self._names.catalog.model_types)
        self._found: dict[str, _LastServed] = {}

    def find(self, name: str | None, *, here: bool = False) -> ServedModel:
        """Return the model of this name, or the active one, without computing how much memory it needs.

        A known model without files here raises UnknownModelError too, with a hint for the operator. With
        ``here`` it is one that this machine runs, even if another server has one of the same name. Raises
        UnknownModelError, BadRequestError, ModelNotRunnableError and BrokenCheckpointError.
        """
        settings = self._settings()
        if not name:
            if settings.active_model is None:
                raise BadRequestError(
                    "The request names no model.", hint="GET /v1/models lists them.", param="model"
                )
            name = settings.active_model
        try:
            found = self._names.resolve(name, _HERE_FOR_CLIENTS if here else FOR_CLIENTS, settings)
        except ModelUnavailableError as error:
            raise UnknownModelError(error.message, hint=error.hint) from error
        if isinstance(found, KnownRemote):
            return _remote_model(found, settings)
        before = self._found.get(found.name)
        if before is not None and before.model is found and before.settings is settings:
            return before.served
        own = _own_settings(settings, found.name)
        precision = own.inference.dtype or settings.inference.dtype
        found.precision(precision)  # raises where the model has no such precision
        served = _served(found, precision, own, settings)
        self._found[found.name] = _LastServed(found, settings, served)
        return served

    def find_for_work(self, name: str, precision: str) -> ServedModel:
        """Return the model of this name or folder for the program's own work, such as indexing.

        The settings of answers do not apply to it. Raises subclasses of ModelError.
        """
        settings = self._settings()
        found = self._names.resolve(name, FOR_LOADING, settings)
        if isinstance(found, KnownRemote):
            return _remote_model(found, settings)
        found.precision(precision)  # raises where the model has no such precision
        return _served(found, precision, ModelSettings(), settings)

    def needed_bytes(self, served: ServedModel) -> int:
        """Return the memory that a model is expected to need; raises the same errors as ``find``.

        Reads the headers of a folder's weights and visits every tensor's shape, once for each model.
        """
        if served.needed_bytes is not None:
            return served.needed_bytes
        found = self._names.resolve(served.source, HERE, self._settings())
        if isinstance(found, KnownRemote):
            return 0
        return self._footprints.needed_bytes(found, found.precision(served.precision))

    def list(self) -> tuple[ListedModel, ...]:
        """Return every model that can be used: files here, supported by this release, headers readable."""
        settings = self._settings()
        listed = [ListedModel(name, _REMOTE, 0) for name in sorted(settings.remotes)]
        elsewhere = {name.casefold() for name in settings.remotes}
        listed += [_listed(model) for model in self._models_here() if model.name.casefold() not in elsewhere]
        if settings.active_model is not None:
            try:
                served = self.find(None)
            except SmallsightError:
                return tuple(listed)  # it cannot be used; a request for it reports why
            if served.name not in {one.name for one in listed}:
                changed_s = _changed_s(Path(settings.active_model).expanduser())
                listed.insert(0, ListedModel(served.name, _NO_OWNER, changed_s))
        return tuple(listed)

    def get(self, name: str) -> ListedModel:
        """Return one model of the list; raises UnknownModelError."""
        canonical = self._names.which(name, FOR_CLIENTS, self._settings()).name
        for one in self.list():
            if one.name == canonical:
                return one
        raise UnknownModelError(
            f"The files of {canonical} are not on this machine, or this release does not run it.",
            hint=f"`smallsight models show {canonical}` says which.",
        )

    def _models_here(self) -> Iterator[KnownModel]:
        """Yield the catalogue's models, then registered folders, whose files are here and readable."""
        catalog, settings = self._names.catalog, self._settings()
        own = RegisteredModels(settings.models_path).all()
        names = [entry.name for entry in catalog.entries if entry.is_runnable]
        names += [one.name for one in own if catalog.get(one.name) is None]
        for name in names:
            try:
                model = self._names.resolve(name, HERE, settings)
                if isinstance(model, KnownRemote):
                    continue
                if model.entry is None:
                    self._footprints.needed_bytes(model, model.precision())  # reads its headers
            except ModelError:
                continue
            yield model


def _served(model: KnownModel, precision: str, own: ModelSettings, settings: Settings) -> ServedModel:
    memory, inference = own.memory, own.inference
    required_gb, max_gb = memory.required_gb, memory.max_memory_gb
    return ServedModel(
        name=model.name,
        source=model.name if model.is_named else model.directory or model.name,
        precision=precision,
        device=own.device,
        needed_bytes=None if required_gb is None else int(required_gb * _GIB),
        max_bytes=None if max_gb is None else int(max_gb * _GIB),
        cleanup_aggressive=_or_default(memory.cleanup_aggressive, settings.memory.cleanup_aggressive),
        max_tokens=_or_default(inference.max_tokens, settings.inference.max_tokens),
        temperature=_or_default(inference.temperature, settings.inference.temperature),
        files_mark=model.files_mark,
    )


def _remote_model(remote: KnownRemote, settings: Settings) -> ServedModel:
    inference = _own_settings(settings, remote.name).inference
    return ServedModel(
        name=remote.name,
        source=remote.name,
        precision="auto",
        device="auto",
        needed_bytes=0,
        max_bytes=None,
        cleanup_aggressive=False,
        max_tokens=_or_default(inference.max_tokens, settings.inference.max_tokens),
        temperature=_or_default(inference.temperature, settings.inference.temperature),
        remote=remote.settings,
    )


def _own_settings(settings: Settings, name: str) -> ModelSettings:
    for key, own in settings.models.items():
        if key.casefold() == name.casefold():
            return own
    return ModelSettings()


def _or_default(own: _Value | None, default: _Value) -> _Value:
    return default if own is None else own


def _listed(model: KnownModel) -> ListedModel:
    changed_s = 0 if model.directory is None else _changed_s(model.directory)
    return ListedModel(model.name, _owner(model.entry), changed_s)


def _owner(entry: Entry | None) -> str:
    repository = None if entry is None else entry.repository
    return _NO_OWNER if repository is None else repository.partition("/")[0]


def _changed_s(folder: Path) -> int:
    try:
        return int(folder.stat().st_mtime)
    except OSError:
        return 0
