"""Loading a model by catalogue name or folder: ``smallsight.load``."""

from __future__ import annotations

import os
from collections.abc import Callable

from smallsight.engine.engine import Engine
from smallsight.errors import ArgumentError, SettingsError, UnknownModelError
from smallsight.inventory.names import AUTO, TEST_FAMILY, find_model, find_remote, require_memory
from smallsight.machine.memory import free_memory_bytes, usable_memory_bytes
from smallsight.model.model import Model
from smallsight.model.test_model import TestModel
from smallsight.quant.scheme import scheme_named
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import Settings, load_settings

__all__ = ["load"]

_REMOTE = "remote"
_ENGINES = (AUTO, "openvino", _REMOTE)
_DEVICES = (AUTO, "cpu")


def load(
    name_or_directory: str | os.PathLike[str],
    *,
    precision: str = AUTO,
    engine: str = AUTO,
    device: str = AUTO,
    threads: int | None = None,
    progress: bool = True,  # noqa: ARG001 - part of the stable interface; nothing here takes long enough yet
    offline: bool = False,  # noqa: ARG001 - part of the stable interface; loading never fetches anything
    settings: Settings | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Model:
    """Load a model: ``test``, a catalogue name, a registered name, or a folder in Hugging Face layout.

    ``precision`` is "auto" (the model's own), "fp32", "bf16", "fp16", "int8", "int4" or "nf4".
    ``threads=None`` takes the setting. Files are never fetched here: `smallsight models pull` does that.
    ``settings`` replaces those of the environment. ``on_progress`` is called with the part done, 0 to 1.
    A name of the setting ``remotes`` is a model on another server; engine "openvino" looks here only.
    Raises UnknownModelError, ModelUnavailableError (files are not here), ModelNotRunnableError (no code for
    it), BrokenCheckpointError, OutOfResourcesError (too little memory), ArgumentError (precision, engine or
    device) and SettingsError.
    """
    _require_known("engine", engine, _ENGINES)
    _require_known("device", device, _DEVICES)
    settings = load_settings() if settings is None else settings
    if engine in (AUTO, _REMOTE) and (found := find_remote(name_or_directory, settings)) is not None:
        return _load_remote(*found, settings)
    if engine == _REMOTE:
        raise UnknownModelError(
            f"The settings name no other server for {name_or_directory!r}.", hint="add it to [remotes]."
        )
    wanted = find_model(name_or_directory, precision, settings)
    if wanted.family == TEST_FAMILY or wanted.directory is None or wanted.precision is None:
        return TestModel(settings.limits)
    # OpenVINO takes half a second to import, which the test model does without.
    from smallsight.model.vision_language_model import VisionLanguageModel  # noqa: PLC0415

    require_memory(wanted, usable_memory_bytes(), free_memory_bytes())
    return VisionLanguageModel.load(
        wanted.directory,
        family=wanted.family,
        name=wanted.name,
        precision=wanted.precision.value,
        threads=settings.threads if threads is None else threads,
        prepared_dir=settings.prepared_dir,
        limits=settings.limits,
        on_progress=on_progress,
    )


def _load_remote(name: str, remote: RemoteSettings, settings: Settings) -> Model:
    """Return a model that asks another server, and its fallback here when that one does not answer."""
    from smallsight.engine.loading import load_engine  # noqa: PLC0415 - as above
    from smallsight.engine.remote.remote_engine import RemoteEngine  # noqa: PLC0415
    from smallsight.model.vision_language_model import VisionLanguageModel  # noqa: PLC0415

    def open_fallback() -> Engine:
        wanted = find_model(str(remote.fallback), AUTO, settings)
        if wanted.directory is None or wanted.precision is None:
            raise SettingsError(f"{remote.fallback} cannot stand in for {name}.", hint="name a real model.")
        require_memory(wanted, usable_memory_bytes(), free_memory_bytes())
        return load_engine(
            wanted.family,
            wanted.directory,
            scheme_named(wanted.precision.value),
            threads=settings.threads,
            prepared_dir=settings.prepared_dir,
        )

    engine = RemoteEngine(name, remote, open_fallback=open_fallback if remote.fallback else None)
    return VisionLanguageModel(engine, name=name, precision=_REMOTE, limits=settings.limits)


def _require_known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        choices = f"{', '.join(known[:-1])} or {known[-1]}"
        raise ArgumentError(f"Unknown {what} {value!r}.", hint=f"use {choices}.")
