"""A model's weights as they are used, stored on disk, and the runtime's options for them.

A checkpoint is quantised once: the result is a bundle in ``prepared_dir`` that this and every later start
memory-maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openvino as ov

from smallsight.catalog.safetensors_file import read_header
from smallsight.engine.engine import LoadRequest
from smallsight.engine.network_key import network_key
from smallsight.families.stored_parts import PartWeights, count_parts
from smallsight.families.tensor_files import RowTable
from smallsight.families.weight_source import WeightSource
from smallsight.graph.compiled import CompiledNetwork, activation_group, compile_network, computes_in_bf16
from smallsight.graph.known_bands import RowProbe
from smallsight.graph.row_probe import MOST_OUTPUTS, ProbedMatrix, probe_rows
from smallsight.machine.cores import usable_cores
from smallsight.policy.log import get_logger
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import Bundle, BundleWriter, stored_bytes
from smallsight.quant.forms import Stored, first_rows, form_of
from smallsight.quant.scheme import SCHEMES, Module, Scheme

log = get_logger(__name__)

WEIGHTS_SHARE = 0.8  # of the first load; the rest is compiling
_USUAL_SHAPES = ((1536, 576), (576, 1536))  # of SmolVLM-256M's feed-forward layers
ACTIVATION_GROUP = 64  # activation values that share a scale in integer products


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights by name, stored for a request. They must outlive every network that uses them."""

    stored: Mapping[str, Stored]
    num_bytes: int
    key: str
    request: LoadRequest

    def compile(self, build: Callable[[Mapping[str, Stored]], ov.Model]) -> CompiledNetwork:
        """Compile a network over the weights."""
        options = tuning(self.request.scheme)
        return compile_network(lambda: build(self.stored), threads=self.request.threads, tuning=options)

    def compile_for_calls_at_once(
        self, build: Callable[[Mapping[str, Stored]], ov.Model], num_at_once: int
    ) -> list[ov.InferRequest]:
        """Return requests that may run at once, each on its part of the threads.

        Each has a network to itself. Streams of one network decompress quantised weights at the same time in
        shared memory where the runtime cannot multiply by them as stored: with AMX and bfloat16, matrices of
        at most 512 inputs and outputs whose inputs are no multiple of 32. The network may then have scaled
        them twice, or not at all (openvino 2026.4.1, findings/openvino_streams_pack_weights_at_once.sh).
        """
        share = max(1, (self.request.threads or usable_cores()) // num_at_once)
        weights = self if num_at_once == 1 else self.on_threads(share)
        return [weights.compile(build).model.create_infer_request() for _ in range(num_at_once)]

    def on_threads(self, threads: int) -> StoredWeights:
        """Return the same weights for networks that use this many threads."""
        return replace(self, request=replace(self.request, threads=threads))

    def count_parts(self, embeddings: RowTable) -> tuple[PartWeights, ...]:
        """Count the weights by part and form, and with them the embedding table in the checkpoint's file."""
        return count_parts(self.stored, embeddings)

    def release_pages(self) -> None:
        """Release a bundle's pages to the operating system; they are read again when needed."""
        if isinstance(self.stored, Bundle):
            self.stored.release_pages()

    def probe_rows(self, names: Sequence[str]) -> RowProbe:
        """Measure the row counts at which products change bitwise; ``names`` are prefixes of weight names."""
        request = self.request
        if request.options.row_bands is not None:
            return RowProbe(request.options.row_bands)
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
        return probe_rows(
            found.values(),
            threads=request.threads,
            tuning=tuning(request.scheme),
            prepared_dir=request.prepared_dir,
        )


def open_stored(source: WeightSource, request: LoadRequest) -> StoredWeights:
    """Open these weights' bundle, writing it first if missing; without a folder, keep them in memory."""
    prepared_dir = request.prepared_dir
    key = _weights_key(source, request.scheme, prepared_dir)
    path = None if prepared_dir is None else prepared_dir / f"{key}.weights"
    stored = _open_or_store(source, path, request.on_progress)
    return StoredWeights(stored, sum(stored_bytes(one) for one in stored.values()), key, request)


def _weights_key(source: WeightSource, scheme: Scheme, prepared_dir: Path | None) -> str:
    """Return a key from the files' hashes, the network, the scheme and the version of the stored form."""
    facts = source.identity, scheme.identity, str(source.stored_version)
    return network_key(source.weight_files, prepared_dir, *facts)


def _open_or_store(
    source: WeightSource, path: Path | None, on_progress: OnProgress | None
) -> Mapping[str, Stored]:
    if path is None:
        return dict(_with_progress(source, on_progress))
    try:
        return Bundle(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("stored_weights_unusable", path=str(path), reason=str(error), action="storing them again")
    try:
        with BundleWriter(path) as writer:
            for name, stored in _with_progress(source, on_progress):
                writer.add(name, stored)
        return Bundle(path)
    except OSError as error:
        log.warning("weights_not_stored", path=str(path), reason=str(error), action="keeping them in memory")
        return dict(source.store())


def _with_progress(source: WeightSource, on_progress: OnProgress | None) -> Iterable[tuple[str, Stored]]:
    """Yield stored weights and report progress, assuming about one stored weight per tensor of the files."""
    num_expected = sum(len(read_header(path)) for path in source.weight_files)
    for number, item in enumerate(source.store(), 1):
        if on_progress is not None:
            on_progress(WEIGHTS_SHARE * min(1.0, number / max(1, num_expected)))
        yield item


def tuning(scheme: Scheme) -> dict[str, str | int]:
    """Return the runtime's options for networks in this scheme.

    The KV cache has the type of the arithmetic: the runtime refuses to compile paged attention over another
    (openvino 2026.4.1, "expect kvcache type").
    """
    arithmetic = scheme.arithmetic if computes_in_bf16() else "f32"
    return {
        "INFERENCE_PRECISION_HINT": arithmetic,
        "KV_CACHE_PRECISION": arithmetic,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": (
            0 if scheme.arithmetic == "f32" else activation_group(ACTIVATION_GROUP)
        ),
    }


def probe_usual_shapes(threads: int, prepared_dir: Path | None) -> RowProbe:
    """Measure the row bands of a small decoder's shapes in 8 and 4 bits, for use before a model is loaded."""
    found = RowProbe()
    values = np.random.default_rng(0)
    for scheme in (SCHEMES["int8"], SCHEMES["int4"]):
        matrices = []
        for shape in _USUAL_SHAPES:
            stored = scheme.store(values.standard_normal(shape, np.float32), Module.TEXT)
            form = form_of(stored)
            matrices += [] if form is None else [ProbedMatrix(form.name, shape, stored)]
        found = found.joined(
            probe_rows(matrices, threads=threads, tuning=tuning(scheme), prepared_dir=prepared_dir)
        )
    return found
