"""Loads a SmolVLM for the reference engine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.engine import EngineOptions
from smallsight.engine.inline_engine import BLOCK_TOKENS, InlineEngine, inline_worker
from smallsight.engine.reference.llama import LlamaReference
from smallsight.engine.reference.siglip import SigLIPReference
from smallsight.families.family import Family
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import stored_bytes
from smallsight.quant.scheme import Scheme


def load_reference(
    family: Family,
    model_dir: Path,
    scheme: Scheme,
    *,
    threads: int = 0,  # noqa: ARG001 - chosen by numpy
    prepared_dir: Path | None = None,  # noqa: ARG001 - nothing is stored
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
) -> InlineEngine:
    """Load a model folder in Hugging Face layout; the scheme rounds weights, arithmetic is float32."""
    chosen = options or EngineOptions()
    model = SmolVLMModel(model_dir, scheme, chosen.tiled_bytes)
    stored = dict(model.store())
    text = model.config.text
    block_bytes = 2 * 4 * text.layers * BLOCK_TOKENS * text.kv_heads * text.head_dim
    runner = LlamaReference(
        text,
        {name: one for name, one in stored.items() if name.startswith(model.decoder_names)},
        num_blocks=max(chosen.cache_bytes // block_bytes, -(-model.context_tokens // BLOCK_TOKENS)),
        block_tokens=BLOCK_TOKENS,
    )
    features = FeatureCache(chosen.feature_cache_bytes)
    vision = SigLIPReference(
        model.config,
        {name: one for name, one in stored.items() if not name.startswith(model.decoder_names)},
        model.to_patches,
        features,
    )
    if on_progress is not None:
        on_progress(1.0)
    return InlineEngine(
        family=family,
        processor=model.processor,
        worker=inline_worker(model, vision, runner, chosen),
        features=features,
        context_tokens=model.context_tokens,
        key=hashlib.sha256(f"reference {model.identity} {scheme.identity}".encode()).hexdigest()[:32],
        weights_bytes=sum(stored_bytes(one) for one in stored.values()),
        is_batch_independent=True,
        held=None,
    )
