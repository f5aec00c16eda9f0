"""Loading a model by catalogue name or folder: ``smallsight.load``."""

from __future__ import annotations

import os
from collections.abc import Callable

from smallsight.engine.machine_memory import free_memory_bytes, usable_memory_bytes
from smallsight.errors import ModelNotRunnableError
from smallsight.model.loading_names import AUTO, TEST_FAMILY, find_model, require_memory
from smallsight.model.model import Model
from smallsight.model.test_model import TestModel
from smallsight.settings import Settings, load_settings

__all__ = ["load"]

_ENGINES = (AUTO, "openvino")
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
    ``settings`` replaces those of the environment. ``on_progress`` hears which part is done, from 0 to 1.
    Raises UnknownModelError, ModelUnavailableError (files are not here), ModelNotRunnableError (no code for
    it, or no such engine or device), BrokenCheckpointError, OutOfResourcesError (too little memory) and
    SettingsError.
    """
    _require_known("engine", engine, _ENGINES)
    _require_known("device", device, _DEVICES)
    settings = load_settings() if settings is None else settings
    wanted = find_model(name_or_directory, precision, settings)
    if wanted.family == TEST_FAMILY or wanted.directory is None or wanted.precision is None:
        return TestModel(settings.limits)
    require_memory(wanted, usable_memory_bytes(), free_memory_bytes())
    # OpenVINO takes half a second to import, which the test model does without.
    from smallsight.model.vision_language_model import VisionLanguageModel  # noqa: PLC0415

    return VisionLanguageModel.load(
        wanted.directory,
        family=wanted.family,
        name=wanted.name,
        precision=wanted.precision.value,
        threads=settings.threads if threads is None else threads,
        graphs_dir=settings.graphs_dir,
        limits=settings.limits,
        on_progress=on_progress,
    )


def _require_known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ModelNotRunnableError(
            f"This release has no {what} {value!r}.", hint=f"there is {' and '.join(known)}."
        )
