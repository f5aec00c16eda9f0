"""The models that a server offers: their names, and the settings with which each is loaded and sampled.

A name from a client is never interpreted as a path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from smallsight.catalog.catalog import nearest_names
from smallsight.errors import (
    BadRequestError,
    ModelUnavailableError,
    UnknownModelError,
)
from smallsight.inventory.footprint import Footprints
from smallsight.inventory.known_model import KnownModel
from smallsight.inventory.model_list import ListedModel, ModelList
from smallsight.inventory.names import FOR_CLIENTS, FOR_LOADING, HERE, TEST_FAMILY, KnownRemote, Names, Origin
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import ModelSettings, Settings

_Value = TypeVar("_Value")
_GIB = 1024**3
_HERE_FOR_CLIENTS = FOR_CLIENTS - {Origin.REMOTE}
_MAX_NAMED = 12


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that can be used now, how it is loaded, and its defaults for requests.

    ``source`` is a name or a folder. ``needed_bytes`` is the needed memory from the settings, None means its
    footprint. ``max_bytes`` is its memory limit, None means the server's limit. ``max_tokens`` limits an
    answer whose request has no limit, None means the rest of the context. With ``remote`` another server runs
    it, and nothing is loaded.
    """

    name: str
    source: str | Path
    precision: str
    device: str
    needed_bytes: int | None
    max_bytes: int | None
    cleanup_aggressive: bool
    max_tokens: int | None
    temperature: float
    files_mark: str = ""
    remote: RemoteSettings | None = None
    scheme: str = ""  # of a variant of the user's
    engine: str = "auto"
    compile: bool = False

    @property
    def load_key(self) -> tuple[str, ...]:
        """Everything that affects loading, its files included; another key means loading it again."""
        compiled = "compiled" if self.compile else ""
        scheme = self.scheme or self.precision
        return str(self.source), scheme, self.engine, self.device, compiled, self.files_mark


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
        self._list = ModelList(self._names, self._footprints)

    def find(self, name: str | None, *, here: bool = False) -> ServedModel:
        """Return the model of this name, or the active one, without computing how much memory it needs.

        A known model without files here raises UnknownModelError too, with a hint for the operator. With
        ``here`` it is one that this machine runs, even if another server has one of the same name. An alias
        means the model that it stands for. Raises UnknownModelError, BadRequestError, ModelNotRunnableError
        and BrokenCheckpointError.
        """
        settings = self._settings()
        if not name:
            if settings.active_model is None:
                raise BadRequestError(
                    "The request names no model.", hint="GET /v1/models lists them.", param="model"
                )
            name = settings.active_model
        found = self._meaning(name, _HERE_FOR_CLIENTS if here else FOR_CLIENTS, settings)
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

        Of the model's settings only engine and device apply to it, not those of answers. Raises subclasses
        of ModelError.
        """
        settings = self._settings()
        found = self._names.resolve(name, FOR_LOADING, settings)
        if isinstance(found, KnownRemote):
            return _remote_model(found, settings)
        found.precision(precision)  # raises where the model has no such precision
        own = _own_settings(settings, found.name)
        where = ModelSettings(engine=own.engine, device=own.device, compile=own.compile)
        return _served(found, precision, where, settings)

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

    def find_asked(self, name: str | None, *, here: bool = False) -> ServedModel:
        """Find a model as ``find`` does, with a hint for clients, not the operator, at an unknown name."""
        try:
            return self.find(name, here=here)
        except UnknownModelError as error:
            raise error if not name else self._with_names(name, error) from error

    def list(self) -> tuple[ListedModel, ...]:
        """Return what clients may name, the active model first, aliases last; see ``ModelList``."""
        return self._list.under(self._settings())

    def kept_list(self) -> tuple[ListedModel, ...] | None:
        """Return the list if nothing has changed since it was made: in a fraction of a millisecond."""
        return self._list.kept(self._settings())

    def names(self) -> tuple[str, ...]:
        """Return the names of the models that a person may choose: no aliases, and ``test`` always, last."""
        aliases = {alias.casefold() for alias in self._settings().aliases}
        listed = [one.name for one in self.list() if one.name.casefold() not in aliases]
        toys = [one.name for one in self._names.catalog.entries if one.family == TEST_FAMILY]
        return tuple(dict.fromkeys([*listed, *toys]))

    def get(self, name: str) -> ListedModel:
        """Return one model by any of its names; raises UnknownModelError."""
        settings = self._settings()
        wanted = name.strip().casefold()
        if (listed := next((one for one in self.list() if one.name.casefold() == wanted), None)) is not None:
            return listed
        canonical = self.find_asked(name).name
        if (known := self._list.described(canonical, settings)) is not None:
            return known
        raise self._with_names(name, UnknownModelError(f"{canonical} cannot be used here."))

    def _meaning(self, name: str, among: frozenset[Origin], settings: Settings) -> KnownModel | KnownRemote:
        """Resolve a client's name: an alias, a model, or any name where the active model stands for all."""
        meant = settings.meant_by(name)
        try:
            return self._names.resolve(meant, among, settings)
        except (ModelUnavailableError, UnknownModelError) as error:
            if meant != name:
                message = f"{name} is an alias of {meant}, which cannot be used: {error.message}"
                raise UnknownModelError(message, hint=error.hint) from error
            active = settings.active_model
            is_unknown = isinstance(error, UnknownModelError)
            if is_unknown and settings.server.any_model_name and active not in (None, name):
                return self._meaning(active, among, settings)
            raise UnknownModelError(error.message, hint=error.hint) from error

    def _with_names(self, name: str, error: UnknownModelError) -> UnknownModelError:
        """Return the error with a hint at the names that can be used instead."""
        known = [one.name for one in self.list()]
        near = nearest_names(name, known)
        meant = f"did you mean {', '.join(near)}? " if near else ""
        more = f" and {len(known) - _MAX_NAMED} more" if len(known) > _MAX_NAMED else ""
        names = ", ".join(known[:_MAX_NAMED]) or "none"
        return UnknownModelError(error.message, hint=f"{meant}GET /v1/models: {names}{more}.")


def _served(model: KnownModel, precision: str, own: ModelSettings, settings: Settings) -> ServedModel:
    memory, inference = own.memory, own.inference
    required_gb, max_gb = memory.required_gb, memory.max_memory_gb
    return ServedModel(
        name=model.name,
        source=model.name if model.is_named else model.directory or model.name,
        precision=precision,
        device=own.device,
        engine=own.engine,
        compile=own.compile,
        needed_bytes=None if required_gb is None else int(required_gb * _GIB),
        max_bytes=None if max_gb is None else int(max_gb * _GIB),
        cleanup_aggressive=_or_default(memory.cleanup_aggressive, settings.memory.cleanup_aggressive),
        max_tokens=_or_default(inference.max_tokens, settings.inference.max_tokens),
        temperature=_or_default(inference.temperature, settings.inference.temperature),
        files_mark=model.files_mark,
        scheme="" if model.scheme is None else str(model.scheme),
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
