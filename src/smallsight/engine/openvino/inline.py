"""Loads a model whose image tokens are part of the text: two networks over stored weights and their runners.

The runtime cannot cache a compiled network with paged attention; compiling it again over stored weights takes
well under a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openvino as ov

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import EngineOptions
from smallsight.engine.inline_engine import InlineEngine, inline_worker
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.tile_runner import TileRunner
from smallsight.engine.openvino.weight_store import open_stored, tuning
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Family
from smallsight.graph.compiled import CompiledNetwork, compile_network
from smallsight.policy.progress import OnProgress
from smallsight.quant.scheme import Scheme, Stored


def load_inline(
    family: Family,
    model_dir: Path,
    scheme: Scheme,
    *,
    threads: int = 0,
    prepared_dir: Path | None = None,
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
) -> InlineEngine:
    """Load a model folder in Hugging Face layout; raises SmallsightError."""
    if family.open_inline is None:
        raise ModelNotRunnableError(f"This engine cannot run {family.title} models.")
    chosen = options or EngineOptions()
    model = family.open_inline(model_dir, scheme, chosen.tiled_bytes)
    weights = open_stored(model, scheme, prepared_dir, on_progress)

    def compiled(build: Callable[[Mapping[str, Stored]], ov.Model]) -> CompiledNetwork:
        return compile_network(lambda: build(weights.stored), threads=threads, tuning=tuning(scheme))

    with ThreadPoolExecutor(2) as both:
        vision_network, text_network = both.map(compiled, (model.vision_graph, model.text_graph))
    probe = weights.probe_rows(
        model.decoder_names, scheme, threads=threads, prepared_dir=prepared_dir, options=chosen
    )
    runner = PagedRunner(
        text_network,
        cache_bytes=chosen.cache_bytes,
        min_tokens=model.context_tokens,
        row_bands=probe.bands,
        on_packed=weights.release_pages,
    )
    features = FeatureCache(chosen.feature_cache_bytes)
    vision = TileRunner(vision_network, model.to_patches, features, weights.release_pages)
    return InlineEngine(
        family=family,
        processor=model.processor,
        worker=inline_worker(model, vision, runner, chosen),
        features=features,
        context_tokens=model.context_tokens,
        key=weights.key,
        weights_bytes=weights.num_bytes,
        is_batch_independent=probe.holds,
        held=weights,
    )
