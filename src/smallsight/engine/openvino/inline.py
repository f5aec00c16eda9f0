"""Loads a model whose image tokens are part of the text: two networks over stored weights and their runners.

Where the extension computes the decoder, only the vision network is compiled.

The runtime cannot cache a compiled network with paged attention; compiling it again over stored weights takes
well under a second.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.runner import Runner
from smallsight.engine.decoding.worker import Worker
from smallsight.engine.decoding.worker_group import WorkerGroup
from smallsight.engine.engine import LoadRequest
from smallsight.engine.inline_engine import InlineEngine, inline_worker
from smallsight.engine.native.native_runner import native_runner
from smallsight.engine.openvino.faster_code import text_comparison
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.tile_encoders import make_tile_encoder
from smallsight.engine.openvino.weight_store import StoredWeights, open_stored
from smallsight.engine.small_networks import is_small_decoder
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Family
from smallsight.families.inline_model import InlineModel
from smallsight.families.step_decoder import StepDecoder
from smallsight.families.tensor_files import RowTable
from smallsight.machine.cores import usable_cores


def load_inline(family: Family, request: LoadRequest) -> InlineEngine:
    """Load a model folder in Hugging Face layout; raises SmallsightError."""
    if family.open_inline is None:
        raise ModelNotRunnableError(f"This engine cannot run {family.title} models.")
    model = family.open_inline(request.model_dir, request.scheme, request.options.tiled_bytes)
    weights = open_stored(model, request)
    decoder = model.step_decoder(weights.stored)
    is_small = is_small_decoder(None if decoder is None else decoder.sizes)
    threads = request.threads or usable_cores()
    num_workers = min(request.options.most_workers, threads) if is_small else 1
    features = FeatureCache(request.options.feature_cache_bytes)
    embeddings = model.embeddings()
    own = weights if num_workers == 1 else _shared_among(weights, num_workers, threads)
    made = [
        _make_worker(model, decoder, own, features, embeddings, is_small=is_small) for _ in range(num_workers)
    ]
    workers = [worker for worker, _ in made]
    return InlineEngine(
        family=family,
        processor=model.processor,
        worker=workers[0] if num_workers == 1 else WorkerGroup(workers),
        features=features,
        context_tokens=model.context_tokens,
        key=weights.key,
        weights_bytes=weights.num_bytes,
        is_batch_independent=all(is_independent for _, is_independent in made),
        held=weights,
        parts=weights.count_parts(embeddings),
    )


def _shared_among(weights: StoredWeights, num_workers: int, threads: int) -> StoredWeights:
    """Return the same weights with a worker's share of the threads and of the KV cache."""
    request = weights.request
    options = replace(request.options, cache_bytes=request.options.cache_bytes // num_workers)
    return replace(weights, request=replace(request, threads=threads // num_workers, options=options))


def _make_worker(
    model: InlineModel,
    decoder: StepDecoder | None,
    weights: StoredWeights,
    features: FeatureCache,
    embeddings: RowTable,
    *,
    is_small: bool,
) -> tuple[Worker, bool]:
    """Start a worker with networks of its own; also return whether batches change nothing."""
    text = weights.on_threads(1) if is_small else weights
    with releasing_pages(weights):
        native = native_runner(decoder, text.request, text_comparison(model, text))
    runner: Runner
    with ThreadPoolExecutor(1) as other:
        waited = other.submit(make_tile_encoder, model, weights, features)
        runner, is_batch_independent = (native, True) if native is not None else _compiled(model, text)
        vision = waited.result()
    return inline_worker(model, vision, runner, weights.request.options, embeddings), is_batch_independent


def _compiled(model: InlineModel, weights: StoredWeights) -> tuple[Runner, bool]:
    """Compile the decoder; return its runner, and whether batches change nothing."""
    network = weights.compile(model.text_graph)
    probe = weights.probe_rows(model.decoder_names)
    runner = PagedRunner(
        network,
        cache_bytes=weights.request.options.cache_bytes,
        min_tokens=model.context_tokens,
        row_bands=probe.bands,
        on_packed=weights.release_pages,
    )
    return runner, probe.holds
