"""What a machine of the cluster works with: its home, the questions of whoever started the run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from smallsight.errors import MissingExtraError
from smallsight.inventory.served_models import ServedModels
from smallsight.services.describing import describing_model
from smallsight.settings import Settings, load_settings

__all__ = ["load_ray", "needed_memory_bytes", "shared_settings", "worker_settings", "worker_threads"]

# Besides the model's: the interpreter with its libraries, the decoding child, the pictures of a batch.
_WORKER_BYTES = 512 * 1024**2


def load_ray() -> Any:  # noqa: ANN401 - it has no types worth the import
    """Import Ray without its usage reports; raises MissingExtraError if it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError(
            "Working on a Ray cluster needs an optional package.", hint="pip install 'smallsight[ray]'."
        ) from error
    return ray


def shared_settings(settings: Settings) -> dict[str, Any]:
    """Return what has to be the same on every machine, so that the answers are."""
    reading = settings.index.model_dump(include={"ocr_max_side_px"})
    return {
        "describe": settings.describe.model_dump(),
        "limits": settings.limits.model_dump(),
        "index": reading,
    }


def worker_settings(shared: Mapping[str, Any]) -> Settings:
    """Return the settings of a worker: those that are shared, and its own number of threads."""
    return load_settings(**shared, threads=worker_threads())


def worker_threads() -> int:
    """Return how many processors Ray has given to this process."""
    assigned = load_ray().get_runtime_context().get_assigned_resources()
    return max(1, int(assigned.get("CPU", 1)))


def needed_memory_bytes(settings: Settings) -> int:
    """Return the memory of a worker that describes under these settings; raises subclasses of ModelError."""
    models = ServedModels(lambda: settings)
    served = models.find_for_work(describing_model(settings), settings.describe.precision)
    return models.needed_bytes(served) + _WORKER_BYTES
