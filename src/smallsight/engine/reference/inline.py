"""Loads a SmolVLM for the reference engine."""

from __future__ import annotations

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import LoadRequest
from smallsight.engine.inline_engine import BLOCK_TOKENS, InlineEngine, inline_worker
from smallsight.engine.network_key import network_key
from smallsight.engine.reference.llama import LlamaReference
from smallsight.engine.reference.siglip import SigLIPReference
from smallsight.families.family import Family
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.families.stored_parts import count_parts
from smallsight.quant.bundle import stored_bytes


def load_reference(family: Family, request: LoadRequest) -> InlineEngine:
    """Load a model folder; the scheme rounds weights, arithmetic is float32, and nothing is stored."""
    options = request.options
    model = SmolVLMModel(request.model_dir, request.scheme, options.tiled_bytes)
    stored = dict(model.store())
    text = model.config.text
    block_bytes = 2 * 4 * text.layers * BLOCK_TOKENS * text.kv_heads * text.head_dim
    runner = LlamaReference(
        text,
        {name: one for name, one in stored.items() if name.startswith(model.decoder_names)},
        num_blocks=max(options.cache_bytes // block_bytes, -(-model.context_tokens // BLOCK_TOKENS)),
        block_tokens=BLOCK_TOKENS,
    )
    features = FeatureCache(options.feature_cache_bytes)
    vision = SigLIPReference(
        model.config,
        {name: one for name, one in stored.items() if not name.startswith(model.decoder_names)},
        model.to_patches,
        features,
    )
    if request.on_progress is not None:
        request.on_progress(1.0)
    embeddings = model.embeddings()
    return InlineEngine(
        family=family,
        processor=model.processor,
        worker=inline_worker(model, vision, runner, options, embeddings),
        features=features,
        context_tokens=model.context_tokens,
        key=network_key(
            model.weight_files, request.prepared_dir, "reference", model.identity, request.scheme.identity
        ),
        weights_bytes=sum(stored_bytes(one) for one in stored.values()),
        is_batch_independent=True,
        held=None,
        parts=count_parts(stored, embeddings),
    )
