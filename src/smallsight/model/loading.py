"""Loads a model by name or folder: ``smallsight.load``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Precision
from smallsight.engine.engine import Engine
from smallsight.errors import ArgumentError, SettingsError, UnknownModelError
from smallsight.errors.argument_types import (
    MAX_THREADS,
    as_path,
    as_whole,
    require_callback,
    require_choice,
    require_instance,
    require_text,
)
from smallsight.inventory.footprint import Footprints, require_memory
from smallsight.inventory.known_model import AUTO, KnownModel, parse_precision
from smallsight.inventory.names import FOR_LOADING, TEST_FAMILY, KnownRemote, Names, Origin
from smallsight.inventory.served_models import ServedModel
from smallsight.machine.memory import free_memory_bytes, usable_memory_bytes
from smallsight.model.model import Model
from smallsight.model.test_model import TestModel
from smallsight.quant.scheme import READABLE_FOR_TORCH, SCHEMES, parse_scheme, scheme_named
from smallsight.settings import Settings, load_settings

__all__ = ["load", "load_served"]

_LOCAL, _TORCH, _REMOTE = "openvino", "torch", "remote"
_ENGINES = (AUTO, _LOCAL, _TORCH, _REMOTE)
_CPU = "cpu"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?(\+cuda:\d+)*")


@dataclass(frozen=True, slots=True)
class _HowComputed:
    """How a model of this machine is computed, as ``load`` takes it."""

    engine: str
    device: str
    threads: int
    compile: bool
    most_workers: int


def load(
    name_or_directory: str | os.PathLike[str],
    *,
    precision: str = AUTO,
    engine: str = AUTO,
    device: str = AUTO,
    threads: int | None = None,
    scheme: str | None = None,
    progress: bool = True,  # noqa: ARG001 - part of the stable interface; not used yet
    offline: bool = False,  # noqa: ARG001 - part of the stable interface; loading never downloads
    settings: Settings | None = None,
    on_progress: Callable[[float], None] | None = None,
    compile: bool = False,  # noqa: A002 - the word of torch
    most_workers: int = 1,
) -> Model:
    """Load a model: ``test``, a catalogue name, a name of your own, or a folder in Hugging Face layout.

    ``precision`` is "auto" (the model's default), "fp32", "bf16", "int8" or "int4"; ``scheme`` replaces it
    by a quantisation scheme, such as "int4; text=int4-groups-32-searched; arithmetic=f32".
    Engine "torch", an optional package, runs on ``device`` "cuda", "mps" or "cpu", in "fp32", "bf16", "fp16",
    or with bitsandbytes in "int8" or "nf4". A GPU as the device chooses this engine.
    ``compile`` compiles that engine's decoding, for a minute or more. With ``most_workers`` above 1
    a small model has up to that many workers of one thread each: more answers a second, a single one later.
    ``threads=None`` uses the setting. Nothing is downloaded: `smallsight models pull` does that.
    ``settings`` replaces those of the environment. ``on_progress`` is called with the fraction done, 0 to 1.
    A name in the setting ``remotes`` is a model on another server; engine "openvino" finds local models only.
    Raises UnknownModelError, ModelUnavailableError (files are missing), ModelNotRunnableError (not
    supported), BrokenCheckpointError, OutOfResourcesError (too little memory), ArgumentError (precision,
    scheme, engine or device), MissingExtraError (optional packages) and SettingsError.
    """
    _require_types(name_or_directory, precision, engine, device, scheme, settings, on_progress)
    local = _local_engine(engine, device)
    schemes = READABLE_FOR_TORCH if local == _TORCH else SCHEMES
    settings = load_settings() if settings is None else settings
    parse_precision(precision)
    found = _find(name_or_directory, engine, settings)
    if isinstance(found, KnownRemote):
        return _load_remote(found, settings)
    if scheme is not None:
        found = found.in_scheme(parse_scheme(scheme, schemes))
    stored_as = found.precision_in_torch(precision) if local == _TORCH else found.precision(precision)
    if compile and local != _TORCH:
        raise ArgumentError("Only the engine 'torch' can compile decoding.", hint="use engine='torch'.")
    if found.family == TEST_FAMILY or found.directory is None or stored_as is None:
        return TestModel(settings.limits)
    if local != _TORCH or _is_on_cpu(device):
        _require_memory(found, stored_as)
    text = str(found.scheme or scheme_named(stored_as.value, schemes))
    how = _HowComputed(local, device, _num_threads(threads, settings), compile, most_workers)
    return _load_local(found, found.directory, text, how, settings, on_progress)


def _num_threads(threads: int | None, settings: Settings) -> int:
    return settings.threads if threads is None else as_whole("threads", threads, 0, MAX_THREADS)


def load_served(served: ServedModel, settings: Settings, on_progress: Callable[[float], None]) -> Model:
    """Load a model that the inventory found, local or remote; raises as ``load`` does.

    A local model stays local, even if a remote with the same name has been added meanwhile.
    """
    return load(
        served.source,
        precision=served.precision,
        device=served.device,
        engine=_local_engine(served.engine, served.device) if served.remote is None else _REMOTE,
        settings=settings,
        on_progress=on_progress,
        compile=served.compile,
    )


def _find(
    name_or_directory: str | os.PathLike[str], engine: str, settings: Settings
) -> KnownModel | KnownRemote:
    names = Names()
    if engine != _REMOTE:
        return names.resolve(
            name_or_directory, FOR_LOADING if engine == AUTO else FOR_LOADING - {Origin.REMOTE}, settings
        )
    try:
        return names.resolve(str(name_or_directory), frozenset((Origin.REMOTE,)), settings)
    except UnknownModelError as error:
        raise UnknownModelError(
            f"No remote server is configured for {name_or_directory!r}.", hint="add it to [remotes]."
        ) from error


def _require_memory(model: KnownModel, precision: Precision) -> None:
    """Raise OutOfResourcesError if the model does not fit, BrokenCheckpointError for a damaged folder."""
    needed_bytes = Footprints(load_catalog().model_types).needed_bytes(model, precision)
    require_memory(
        model, precision, needed_bytes, usable_bytes=usable_memory_bytes(), free_bytes=free_memory_bytes()
    )


def _load_remote(remote: KnownRemote, settings: Settings) -> Model:
    """Return a model that asks another server, or its local fallback when that fails."""
    from smallsight.engine.loading import load_engine  # noqa: PLC0415 - as above
    from smallsight.engine.remote.remote_engine import RemoteEngine  # noqa: PLC0415
    from smallsight.model.vision_language_model import VisionLanguageModel  # noqa: PLC0415

    def open_fallback() -> Engine:
        fallback = _find(str(remote.settings.fallback), _LOCAL, settings)
        precision = None if isinstance(fallback, KnownRemote) else fallback.precision()
        if isinstance(fallback, KnownRemote) or fallback.directory is None or precision is None:
            raise SettingsError(
                f"{remote.settings.fallback} cannot be the fallback of {remote.name}.",
                hint="use a real model.",
            )
        _require_memory(fallback, precision)
        return load_engine(
            fallback.family,
            fallback.directory,
            fallback.scheme or scheme_named(precision.value),
            threads=settings.threads,
            prepared_dir=settings.prepared_dir,
        )

    engine = RemoteEngine(
        remote.name, remote.settings, open_fallback=open_fallback if remote.settings.fallback else None
    )
    return VisionLanguageModel(engine, name=remote.name, precision=_REMOTE, limits=settings.limits)


def _load_local(
    found: KnownModel,
    model_dir: Path,
    precision: str,
    local: _HowComputed,
    settings: Settings,
    on_progress: Callable[[float], None] | None,
) -> Model:
    # Importing OpenVINO takes half a second, which the test model does not need.
    from smallsight.engine.engine import EngineOptions  # noqa: PLC0415
    from smallsight.model.vision_language_model import VisionLanguageModel  # noqa: PLC0415

    uses_kernels = settings.kernels and local.engine == _LOCAL
    return VisionLanguageModel.load(
        model_dir,
        family=found.family,
        name=found.name,
        precision=precision,
        engine=local.engine,
        device=local.device,
        threads=local.threads,
        prepared_dir=settings.prepared_dir,
        limits=settings.limits,
        options=EngineOptions(
            uses_kernels=uses_kernels,
            measures_kernels=uses_kernels,
            most_workers=local.most_workers if local.engine == _LOCAL else 1,
        ),
        on_progress=on_progress,
        compile=local.compile,
    )


def _local_engine(engine: str, device: str) -> str:
    """Return the engine of a model on this machine; raises ArgumentError."""
    if not _DEVICE.fullmatch(device):
        raise ArgumentError(f"Unknown device {device!r}.", hint="use auto, cpu, cuda, cuda:0 or mps.")
    is_gpu = device not in (AUTO, _CPU)
    if engine == _TORCH or (engine == AUTO and is_gpu):
        return _TORCH
    if engine == _LOCAL and is_gpu:
        raise ArgumentError(
            f"The engine {_LOCAL!r} runs on the CPU, not on {device!r}.", hint=f"use engine={_TORCH!r}."
        )
    return _LOCAL


def _is_on_cpu(device: str) -> bool:
    """Return whether the torch engine computes on the CPU; raises MissingExtraError and ArgumentError."""
    from smallsight.engine.torch.packages import require_torch  # noqa: PLC0415 - as above

    require_torch()
    from smallsight.engine.torch.device import choose_device  # noqa: PLC0415

    return choose_device(device).is_cpu


def _require_types(
    name_or_directory: object,
    precision: object,
    engine: object,
    device: object,
    scheme: object,
    settings: object,
    on_progress: object,
) -> None:
    as_path("A model's name or folder", name_or_directory)
    require_text("precision", precision)
    require_choice("engine", engine, _ENGINES)
    require_text("device", device)
    if scheme is not None:
        require_text("scheme", scheme)
    if settings is not None:
        require_instance("settings", settings, Settings, "pass those of load_settings().")
    require_callback("on_progress", on_progress)
