"""Loads a model whose image tokens are part of the text: two networks over stored weights and their runners.

Where the extension computes the decoder, only the vision network is compiled.

The runtime cannot cache a compiled network with paged attention; compiling it again over stored weights takes
well under a second.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.runner import Runner
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


def load_inline(family: Family, request: LoadRequest) -> InlineEngine:
    """Load a model folder in Hugging Face layout; raises SmallsightError."""
    if family.open_inline is None:
        raise ModelNotRunnableError(f"This engine cannot run {family.title} models.")
    options = request.options
    model = family.open_inline(request.model_dir, request.scheme, options.tiled_bytes)
    weights = open_stored(model, request)
    decoder = model.step_decoder(weights.stored)
    text = weights.on_threads(1) if is_small_decoder(None if decoder is None else decoder.sizes) else weights
    with releasing_pages(weights):
        native = native_runner(decoder, text.request, text_comparison(model, text))
    features = FeatureCache(options.feature_cache_bytes)
    runner: Runner
    with ThreadPoolExecutor(1) as other:
        waited = other.submit(make_tile_encoder, model, weights, features)
        runner, is_batch_independent = (native, True) if native is not None else _compiled(model, text)
        vision = waited.result()
    embeddings = model.embeddings()
    return InlineEngine(
        family=family,
        processor=model.processor,
        worker=inline_worker(model, vision, runner, options, embeddings),
        features=features,
        context_tokens=model.context_tokens,
        key=weights.key,
        weights_bytes=weights.num_bytes,
        is_batch_independent=is_batch_independent,
        held=weights,
        parts=weights.count_parts(embeddings),
    )


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
