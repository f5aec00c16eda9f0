"""A model's weights in the form they are used in, kept on disk, and the runtime's options for them.

Quantising a checkpoint happens once: the result is a bundle in ``graphs_dir``, memory-mapped by this and
every later start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from smallsight.catalog.file_hashes import file_sha256
from smallsight.quant.bundle import Bundle, BundleWriter
from smallsight.quant.scheme import Scheme, Stored

log = structlog.get_logger(__name__)

ACTIVATION_GROUP = 64  # values of an activation that share a scale where products are of integers


def weights_key(
    weight_files: Sequence[Path], described: str, scheme: Scheme, version: int, graphs_dir: Path | None
) -> str:
    """Return a name for what these files become: their content, the network, the scheme and its version."""
    hashes = [file_sha256(path, graphs_dir) for path in weight_files]
    identity = "\n".join([*hashes, described, scheme.identity, str(version)])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def remembered(make: Callable[[], Iterable[tuple[str, Stored]]], path: Path | None) -> Mapping[str, Stored]:
    """Open the bundle at ``path``, writing it first when there is none; without one, hold all in memory."""
    if path is None:
        return dict(make())
    try:
        return Bundle(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("stored_weights_unusable", path=str(path), reason=str(error), action="making them again")
    try:
        with BundleWriter(path) as writer:
            for name, stored in make():
                writer.add(name, stored)
        return Bundle(path)
    except OSError as error:
        log.warning("weights_not_stored", path=str(path), reason=str(error), action="holding them in memory")
        return dict(make())


def tuning(scheme: Scheme) -> dict[str, str | int]:
    """Return the runtime's options for networks in this scheme."""
    is_exact = scheme.arithmetic == "f32"
    return {
        "INFERENCE_PRECISION_HINT": scheme.arithmetic,
        "KV_CACHE_PRECISION": "f32" if is_exact else "bf16",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0 if is_exact else ACTIVATION_GROUP,
    }
