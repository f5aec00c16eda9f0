"""Loads a Florence-2: three networks over stored weights, and the worker that runs beam search."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.search_worker import SearchWorker
from smallsight.engine.engine import LoadRequest
from smallsight.engine.florence2_engine import Florence2Engine
from smallsight.engine.openvino.stateful_decoder import StatefulDecoder
from smallsight.engine.openvino.tile_runner import TileRunner
from smallsight.engine.openvino.weight_store import open_stored
from smallsight.families.family import Family
from smallsight.families.florence2.model import Florence2Model


def load_florence2(family: Family, request: LoadRequest) -> Florence2Engine:
    """Load a model folder in Hugging Face layout, with either set of tensor names; raises SmallsightError."""
    model = Florence2Model(request.model_dir, request.scheme)
    weights = open_stored(model, replace(request, scheme=model.scheme))
    builders = (model.vision_graph, model.encoder_graph, model.decoder_graph)
    with ThreadPoolExecutor(2) as several:
        vision, encoder, decoder = several.map(weights.compile, builders)
    probe = weights.probe_rows(model.decoder_names)
    features = FeatureCache(request.options.feature_cache_bytes)
    embeddings = model.embeddings()
    worker = SearchWorker(
        TileRunner(vision, model.processor.normalise, features, weights.release_pages),
        StatefulDecoder(encoder, decoder, embeddings, probe.bands),
        model.config.image_token_id,
        weights.release_pages,
    )
    return Florence2Engine(
        family=family,
        processor=model.processor,
        defaults=model.defaults,
        worker=worker,
        features=features,
        key=weights.key,
        weights_bytes=weights.num_bytes,
        is_batch_independent=probe.holds,
        held=weights,
        parts=weights.count_parts(embeddings),
    )
