"""A model's weights in the form they are used in, kept on disk, and the runtime's options for them.

Quantising a checkpoint happens once: the result is a bundle in ``prepared_dir``, memory-mapped by this and
every later start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from smallsight.catalog.file_hashes import file_sha256
from smallsight.catalog.safetensors_file import read_header
from smallsight.engine.engine import EngineOptions
from smallsight.graph.compiled import computes_in_bf16
from smallsight.graph.row_probe import MOST_OUTPUTS, ProbedMatrix, RowProbe, probe_rows
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import Bundle, BundleWriter, stored_bytes
from smallsight.quant.scheme import Scheme, Stored, first_rows, form_of

log = structlog.get_logger(__name__)

WEIGHTS_SHARE = 0.8  # of loading for the first time; the rest is compiling
ACTIVATION_GROUP = 64  # values of an activation that share a scale where products are of integers


class WeightSource(Protocol):
    """What a family says about the weights of one checkpoint; see ``families.inline_model``."""

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The checkpoint's files."""
        ...

    @property
    def identity(self) -> str:
        """Names the networks that the weights are for."""
        ...

    @property
    def stored_version(self) -> int:
        """Names how weights are stored."""
        ...

    def store(self) -> Iterator[tuple[str, Stored]]:
        """Yield every weight in its stored form, by name."""
        ...


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights by name. They must outlive every network over them."""

    stored: Mapping[str, Stored]
    num_bytes: int
    key: str

    def release_pages(self) -> None:
        """Let the system take back the pages of a bundle; they are read again when needed."""
        if isinstance(self.stored, Bundle):
            self.stored.release_pages()

    def probe_rows(
        self,
        names: Sequence[str],
        scheme: Scheme,
        *,
        threads: int,
        prepared_dir: Path | None,
        options: EngineOptions,
    ) -> RowProbe:
        """Measure at which row counts products with weights change; ``names`` begin the weights' names."""
        if options.row_bands is not None:
            return RowProbe(options.row_bands)
        found: dict[tuple[str, tuple[int, int]], ProbedMatrix] = {}
        for name in self.stored:
            if not name.startswith(tuple(names)) or not name.endswith(".weight"):
                continue
            stored = self.stored[name]
            if (form := form_of(stored)) is None:
                continue
            key = form.name, form.shape
            if key not in found:
                found[key] = ProbedMatrix(*key, first_rows(stored, MOST_OUTPUTS))
        return probe_rows(found.values(), threads=threads, tuning=tuning(scheme), prepared_dir=prepared_dir)


def open_stored(
    source: WeightSource, scheme: Scheme, prepared_dir: Path | None, on_progress: OnProgress | None = None
) -> StoredWeights:
    """Open the bundle of these weights, writing it first when there is none; without a folder, hold all.

    ``on_progress`` is called with the part of loading the model that is done.
    """
    key = _weights_key(source, scheme, prepared_dir)
    path = None if prepared_dir is None else prepared_dir / f"{key}.weights"
    stored = _open_or_make(source, path, on_progress)
    return StoredWeights(stored, sum(stored_bytes(one) for one in stored.values()), key)


def _weights_key(source: WeightSource, scheme: Scheme, prepared_dir: Path | None) -> str:
    """Return a name for what the files become: their content, the network, the scheme and its version."""
    hashes = [file_sha256(path, prepared_dir) for path in source.weight_files]
    identity = "\n".join([*hashes, source.identity, scheme.identity, str(source.stored_version)])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _open_or_make(
    source: WeightSource, path: Path | None, on_progress: OnProgress | None
) -> Mapping[str, Stored]:
    if path is None:
        return dict(_reporting(source, on_progress))
    try:
        return Bundle(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("stored_weights_unusable", path=str(path), reason=str(error), action="making them again")
    try:
        with BundleWriter(path) as writer:
            for name, stored in _reporting(source, on_progress):
                writer.add(name, stored)
        return Bundle(path)
    except OSError as error:
        log.warning("weights_not_stored", path=str(path), reason=str(error), action="holding them in memory")
        return dict(source.store())


def _reporting(source: WeightSource, on_progress: OnProgress | None) -> Iterable[tuple[str, Stored]]:
    """Yield weights as they are made; a stored one is made of about one tensor of the files."""
    num_expected = sum(len(read_header(path)) for path in source.weight_files)
    for number, item in enumerate(source.store(), 1):
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
