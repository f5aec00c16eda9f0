"""Loads a Florence-2: three networks over stored weights, and the worker that runs beam search."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.runner import EncoderDecoder
from smallsight.engine.decoding.search_worker import SearchWorker
from smallsight.engine.engine import LoadRequest
from smallsight.engine.florence2_engine import Florence2Engine
from smallsight.engine.native.search_decoder import native_search_decoder
from smallsight.engine.openvino.prompt_encoder import PromptEncoder
from smallsight.engine.openvino.stateful_decoder import StatefulDecoder
from smallsight.engine.openvino.tile_runner import TileRunner
from smallsight.engine.openvino.weight_store import StoredWeights, open_stored
from smallsight.families.family import Family
from smallsight.families.florence2.model import Florence2Model


def load_florence2(family: Family, request: LoadRequest) -> Florence2Engine:
    """Load a model folder in Hugging Face layout, with either set of tensor names; raises SmallsightError."""
    model = Florence2Model(request.model_dir, request.scheme)
    weights = open_stored(model, replace(request, scheme=model.scheme))
    features = FeatureCache(request.options.feature_cache_bytes)
    embeddings = model.embeddings()
    with ThreadPoolExecutor(2) as several:
        vision, encoder = several.map(weights.compile, (model.vision_graph, model.encoder_graph))
    text, is_batch_independent = _text(model, weights, PromptEncoder(encoder, embeddings))
    worker: SearchWorker[Any] = SearchWorker(
        TileRunner(
            [vision.model.create_infer_request()], model.processor.normalise, features, weights.release_pages
        ),
        text,
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
        is_batch_independent=is_batch_independent,
        held=weights,
        parts=weights.count_parts(embeddings),
    )


def _text(
    model: Florence2Model, weights: StoredWeights, encoder: PromptEncoder
) -> tuple[EncoderDecoder[Any], bool]:
    """Return what answers encoded prompts, and whether batches change nothing."""
    decoder = model.step_decoder(weights.stored)
    native = native_search_decoder(decoder, model.positions(weights.stored), encoder, weights.request)
    if native is not None:
        return native, True
    probe = weights.probe_rows(model.decoder_names)
    return StatefulDecoder(encoder, weights.compile(model.decoder_graph), probe.bands), probe.holds
