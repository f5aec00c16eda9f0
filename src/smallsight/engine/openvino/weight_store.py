"""A model's weights in the form they are used in, kept on disk, and the runtime's options for them.

Quantising a checkpoint happens once: the result is a bundle in ``prepared_dir``, memory-mapped by this and
every later start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from smallsight.catalog.file_hashes import file_sha256
from smallsight.catalog.safetensors_file import read_header
from smallsight.graph.compiled import computes_in_bf16
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import Bundle, BundleWriter
from smallsight.quant.scheme import Scheme, Stored

log = structlog.get_logger(__name__)

WEIGHTS_SHARE = 0.8  # of loading for the first time; the rest is compiling
ACTIVATION_GROUP = 64  # values of an activation that share a scale where products are of integers


def weights_key(
    weight_files: Sequence[Path], described: str, scheme: Scheme, version: int, prepared_dir: Path | None
) -> str:
    """Return a name for what these files become: their content, the network, the scheme and its version."""
    hashes = [file_sha256(path, prepared_dir) for path in weight_files]
    identity = "\n".join([*hashes, described, scheme.identity, str(version)])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def open_stored(
    make: Callable[[], Iterable[tuple[str, Stored]]],
    path: Path | None,
    weight_files: Sequence[Path],
    on_progress: OnProgress | None = None,
) -> Mapping[str, Stored]:
    """Open the bundle at ``path``, writing it first when there is none; without one, hold all in memory.

    ``on_progress`` is called with the part of loading the model that is done.
    """
    if path is None:
        return dict(_reporting(make(), weight_files, on_progress))
    try:
        return Bundle(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("stored_weights_unusable", path=str(path), reason=str(error), action="making them again")
    try:
        with BundleWriter(path) as writer:
            for name, stored in _reporting(make(), weight_files, on_progress):
                writer.add(name, stored)
        return Bundle(path)
    except OSError as error:
        log.warning("weights_not_stored", path=str(path), reason=str(error), action="holding them in memory")
        return dict(make())


def _reporting(
    items: Iterable[tuple[str, Stored]], weight_files: Sequence[Path], on_progress: OnProgress | None
) -> Iterable[tuple[str, Stored]]:
    """Yield weights as they are made; a stored one is made of about one tensor of the files."""
    num_expected = sum(len(read_header(path)) for path in weight_files)
    for number, item in enumerate(items, 1):
        if on_progress is not None:
            on_progress(WEIGHTS_SHARE * min(1.0, number / max(1, num_expected)))
        yield item


def tuning(scheme: Scheme) -> dict[str, str | int]:
    """Return the runtime's options for networks in this scheme.

    Without AVX-512 the runtime computes in float32 whatever is asked for, and refuses to compile paged
    attention over a KV cache in bfloat16 (openvino 2026.4.1, "expect kvcache type f32").
    """
    is_exact = scheme.arithmetic == "f32"
    return {
        "INFERENCE_PRECISION_HINT": scheme.arithmetic,
        "KV_CACHE_PRECISION": "f32" if is_exact or not computes_in_bf16() else "bf16",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0 if is_exact else ACTIVATION_GROUP,
    }
