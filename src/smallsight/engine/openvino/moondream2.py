"""Loads a moondream2: networks, KV cache, scheduler and worker."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.engine.crop_runner import CropRunner
from smallsight.engine.decoding.runner import Runner, StepInput
from smallsight.engine.engine import LoadRequest
from smallsight.engine.moondream2_engine import Moondream2Engine, moondream2_features, moondream2_worker
from smallsight.engine.native.native_runner import native_runner
from smallsight.engine.openvino.faster_code import text_comparison
from smallsight.engine.openvino.moondream2_networks import CompiledCropNetworks, compiled_number_decoder
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.weight_store import StoredWeights, open_stored
from smallsight.engine.region_head import NumberDecoder, RegionHead
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Family
from smallsight.families.messages import Detail
from smallsight.families.moondream2.model import Moondream2Model
from smallsight.families.moondream2.processor import Moondream2Processor
from smallsight.families.moondream2.region import KINDS, NumberKind, encoder_of
from smallsight.families.moondream2.templates import DESCRIBE
from smallsight.machine.memory import give_memory_back


def load_moondream2(family: Family, request: LoadRequest) -> Moondream2Engine:
    """Load a model folder in Hugging Face layout; raises SmallsightError.

    Networks are compiled one after the other, because in parallel they need more memory.
    """
    options = request.options
    runner: Runner
    model = Moondream2Model(request.model_dir, request.scheme)
    weights = open_stored(model, replace(request, scheme=model.scheme))
    with releasing_pages(weights):
        features = moondream2_features(options)
        vision = CropRunner(
            CompiledCropNetworks(weights.compile(model.tower_graph), weights.compile(model.connector_graph)),
            model.processor.to_patches,
            features,
            margin_patches=model.config.vision.margin_patches,
        )
        _pack_tower(model.processor, vision)
        native = native_runner(
            model.step_decoder(weights.stored), weights.request, text_comparison(model, weights)
        )
        runner, is_batch_independent = (native, True) if native is not None else _compiled(model, weights)
    give_memory_back()  # what quantising and packing leave free would add to the peak of the first answer
    region = RegionHead(
        lambda kind: _packed_region(model, weights, kind),
        {kind: encoder_of(weights.stored, kind) for kind in KINDS},
    )
    embeddings = model.embeddings()
    return Moondream2Engine(
        family=family,
        processor=model.processor,
        region=region,
        worker=moondream2_worker(model.processor, vision, runner, options, embeddings),
        features=features,
        num_blocks=runner.num_blocks,
        key=weights.key,
        weights_bytes=weights.num_bytes,
        parts=weights.count_parts(embeddings),
        is_batch_independent=is_batch_independent,
        held=weights,
    )


def _packed_region(
    model: Moondream2Model,
    weights: StoredWeights,
    kind: NumberKind,
) -> NumberDecoder:
    """Compile the head for numbers of one kind and run it once, while pages of the weights are released."""
    with releasing_pages(weights):
        decode = compiled_number_decoder(weights.compile(lambda stored: model.region_graph(stored, kind)))
        decode(np.zeros((1, model.config.text.hidden), np.float32))
    return decode


def _pack_tower(processor: Moondream2Processor, vision: CropRunner) -> None:
    """Run the tower once, so that the runtime packs its weights while pages are released."""
    blank = Image.new("RGB", (1, 1))
    vision.encode(processor.prepare(blank, DESCRIBE, "query", Detail.LOW).tiles)


def _compiled(model: Moondream2Model, weights: StoredWeights) -> tuple[Runner, bool]:
    """Compile the decoder and run it once; return its runner, and whether batches change nothing."""
    text = model.config.text
    probe = weights.probe_rows(model.decoder_names)
    runner = PagedRunner(
        weights.compile(model.text_graph),
        cache_bytes=weights.request.options.cache_bytes,
        min_tokens=text.context_tokens,
        row_bands=probe.bands,
    )
    tokens_TD = np.random.default_rng(0).standard_normal((3, text.hidden), np.float32)
    if text.layers > 1:
        _require_prefixes(runner, tokens_TD)
    return runner, probe.holds


def _require_prefixes(runner: PagedRunner, tokens_TD: NDArray[np.float32]) -> None:
    """Raise ModelNotRunnableError if the runtime ignores token types, as it may on other processors.

    The last of three tokens attends only to those before it. With two layers, its logits show whether the
    first token attended to the second.
    """
    scratch = (runner.num_blocks,)
    with_prefix, without = (
        runner.run(
            [StepInput(tokens_TD, 0, scratch, wants_logits=True, prefix_tokens=tokens)]
        ).logits_RV.copy()
        for tokens in (2, 0)
    )
    if np.isfinite(without).all() and np.array_equal(with_prefix, without):
        raise ModelNotRunnableError(
            "On this processor, the runtime does not support bidirectional attention within a picture.",
            hint="use SmolVLM or Florence-2, which do not need it.",
        )
