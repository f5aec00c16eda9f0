"""Which models a server answers with: by which names, from where, and with which values of their own.

A name from a client is looked for in the catalogue and among registered folders only. It is never a path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from smallsight.catalog.catalog import load_catalog, unknown_model
from smallsight.catalog.checkpoint import mark_of_files
from smallsight.catalog.entry import Entry
from smallsight.catalog.registered import RegisteredModels
from smallsight.errors import (
    BadRequestError,
    ModelUnavailableError,
    SmallsightError,
    UnknownModelError,
)
from smallsight.inventory.listing import ModelService, ModelStatus
from smallsight.inventory.names import find_model, find_remote
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import ModelSettings, Settings

_Value = TypeVar("_Value")
_GIB = 1024**3
_NO_OWNER, _REMOTE = "smallsight", "remote"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that can be asked now, and how it is loaded and asked where a request does not say.

    ``source`` is a name or a folder; ``max_bytes`` bounds what it may take, None is the server's bound.
    With ``remote`` another server runs it, and nothing is loaded.
    """

    name: str
    source: str | Path
    precision: str
    device: str
    needed_bytes: int
    max_bytes: int | None
    cleanup_aggressive: bool
    max_tokens: int
    temperature: float
    files_mark: str = ""
    remote: RemoteSettings | None = None

    @property
    def load_key(self) -> tuple[str, str, str, str]:
        """What decides how it is loaded, its files included: another key means loading it anew."""
        return str(self.source), self.precision, self.device, self.files_mark


@dataclass(frozen=True, slots=True)
class ListedModel:
    """What a list of models says about one."""

    name: str
    owner: str
    created_s: int


class ServedModels:
    """Finds and lists models under the settings in force at the moment of asking."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def find(self, name: str | None, *, here: bool = False) -> ServedModel:
        """Return the model of this name, or the active one; raises UnknownModelError or BadRequestError.

        A model that is known but has no files here is unknown to a client, with a hint for the operator.
        With ``here`` it is one that this machine runs, though another server does so too.
        """
        settings = self._settings()
        if not name:
            if settings.active_model is None:
                raise BadRequestError(
                    "The request names no model.", hint="GET /v1/models lists them.", param="model"
                )
            name = settings.active_model
        if not here and (found := find_remote(name, settings)) is not None:
            return _remote_model(*found, settings)
        canonical, source = self._locate(name, settings)
        own = _own_settings(settings, canonical)
        precision = own.inference.dtype or settings.inference.dtype
        try:
            wanted = find_model(source, precision, settings)
        except ModelUnavailableError as error:
            raise UnknownModelError(error.message, hint=error.hint) from error
        memory, inference = own.memory, own.inference
        required_gb, max_gb = memory.required_gb, memory.max_memory_gb
        return ServedModel(
            name=canonical,
            source=source,
            precision=precision,
            device=own.device,
            needed_bytes=wanted.needed_bytes if required_gb is None else int(required_gb * _GIB),
            max_bytes=None if max_gb is None else int(max_gb * _GIB),
            cleanup_aggressive=_first(memory.cleanup_aggressive, settings.memory.cleanup_aggressive),
            max_tokens=_first(inference.max_tokens, settings.inference.max_tokens),
            temperature=_first(inference.temperature, settings.inference.temperature),
            files_mark="" if wanted.directory is None else mark_of_files(wanted.directory),
        )

    def list(self) -> tuple[ListedModel, ...]:
        """Return every model that can be asked: files here, code for them, headers readable."""
        settings = self._settings()
        statuses = ModelService(settings).list()
        listed = [ListedModel(name, _REMOTE, 0) for name in sorted(settings.remotes)]
        elsewhere = {name.casefold() for name in settings.remotes}
        listed += [
            _listed(status)
            for status in statuses
            if _can_be_asked(status) and status.name.casefold() not in elsewhere
        ]
        if (active := settings.active_model) is not None:
            try:
                served = self.find(None)
            except SmallsightError:
                return tuple(listed)  # the active model cannot be asked, which asking it says
            if served.name not in {one.name for one in listed}:
                listed.insert(0, ListedModel(served.name, _NO_OWNER, _changed_s(Path(active).expanduser())))
        return tuple(listed)

    def get(self, name: str) -> ListedModel:
        """Return what the list says about one model; raises UnknownModelError."""
        found = find_remote(name, settings := self._settings())
        canonical = self._locate(name, settings)[0] if found is None else found[0]
        for one in self.list():
            if one.name == canonical:
                return one
        raise UnknownModelError(
            f"The files of {canonical} are not on this machine, or this release does not run it.",
            hint=f"`smallsight models show {canonical}` says which.",
        )

    def _locate(self, name: str, settings: Settings) -> tuple[str, str | Path]:
        """Return the name as it is written here, and what to load."""
        if (entry := load_catalog().get(name)) is not None:
            return entry.name, entry.name
        registered = RegisteredModels(settings.models_path)
        if (own := registered.get(name)) is not None:
            return own.name, own.name
        if (active := settings.active_model) is not None:
            folder = Path(active).expanduser().absolute()
            if name in (active, folder.name) and folder.is_dir():
                return folder.name, folder
        known = [one.name for one in load_catalog().entries] + [one.name for one in registered.all()]
        raise unknown_model(name, known)


def _remote_model(name: str, remote: RemoteSettings, settings: Settings) -> ServedModel:
    inference = _own_settings(settings, name).inference
    return ServedModel(
        name=name,
        source=name,
        precision="auto",
        device="auto",
        needed_bytes=0,
        max_bytes=None,
        cleanup_aggressive=False,
        max_tokens=_first(inference.max_tokens, settings.inference.max_tokens),
        temperature=_first(inference.temperature, settings.inference.temperature),
        remote=remote,
    )


def _own_settings(settings: Settings, name: str) -> ModelSettings:
    for key, own in settings.models.items():
        if key.casefold() == name.casefold():
            return own
    return ModelSettings()


def _first(own: _Value | None, everybody: _Value) -> _Value:
    return everybody if own is None else own


def _can_be_asked(status: ModelStatus) -> bool:
    if status.problem is not None:
        return False
    if status.entry is None:
        return status.files is not None
    return status.entry.is_runnable and (status.files is not None or status.entry.precision is None)


def _listed(status: ModelStatus) -> ListedModel:
    folder = None if status.files is None else status.files.directory
    return ListedModel(status.name, _owner(status.entry), 0 if folder is None else _changed_s(folder))


def _owner(entry: Entry | None) -> str:
    repository = None if entry is None else entry.repository
    return _NO_OWNER if repository is None else repository.partition("/")[0]


def _changed_s(folder: Path) -> int:
    try:
        return int(folder.stat().st_mtime)
    except OSError:
        return 0
