"""Loads a model whose image tokens are part of the text: two networks over stored weights and their runners.

The runtime cannot cache a compiled network with paged attention; compiling it again over stored weights takes
well under a second.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import LoadRequest
from smallsight.engine.inline_engine import InlineEngine, inline_worker
from smallsight.engine.native.native_runner import NativeRunner, with_kernels
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.tile_encoders import make_tile_encoder
from smallsight.engine.openvino.weight_store import open_stored
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Family


def load_inline(family: Family, request: LoadRequest) -> InlineEngine:
    """Load a model folder in Hugging Face layout; raises SmallsightError."""
    if family.open_inline is None:
        raise ModelNotRunnableError(f"This engine cannot run {family.title} models.")
    options = request.options
    model = family.open_inline(request.model_dir, request.scheme, options.tiled_bytes)
    weights = open_stored(model, request)
    features = FeatureCache(options.feature_cache_bytes)
    with ThreadPoolExecutor(2) as both:
        waited = both.submit(make_tile_encoder, model, weights, features)
        text_network = weights.compile(model.text_graph)
        vision = waited.result()
    probe = weights.probe_rows(model.decoder_names)
    prompts = PagedRunner(
        text_network,
        cache_bytes=options.cache_bytes,
        min_tokens=model.context_tokens,
        row_bands=probe.bands,
        on_packed=weights.release_pages,
    )
    runner: PagedRunner | NativeRunner = prompts
    if options.uses_kernels:
        with releasing_pages(weights):
            runner = with_kernels(
                prompts,
                model.llama_decoder(weights.stored),
                request.threads,
                rounds_activations=request.scheme.arithmetic != "f32",
            )
    embeddings = model.embeddings()
    return InlineEngine(
        family=family,
        processor=model.processor,
        worker=inline_worker(model, vision, runner, options, embeddings),
        features=features,
        context_tokens=model.context_tokens,
        key=weights.key,
        weights_bytes=weights.num_bytes,
        is_batch_independent=probe.holds,
        held=weights,
        parts=weights.count_parts(embeddings),
    )
