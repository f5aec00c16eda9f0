"""Loads a moondream2: networks, KV cache, scheduler and worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.engine.decoding.block_pool import BlockPool
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.json_constraint import JsonGrammar
from smallsight.engine.decoding.place_detector import PlaceDetector, Wanted
from smallsight.engine.decoding.runner import StepInput
from smallsight.engine.decoding.scheduler import Scheduler
from smallsight.engine.decoding.worker import Parts, Worker
from smallsight.engine.engine import EngineDefaults, EngineOptions, LoadRequest
from smallsight.engine.generation import Generation
from smallsight.engine.openvino.crop_runner import CropRunner
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.paged_runner import PagedRunner
from smallsight.engine.openvino.region_head import RegionHead
from smallsight.engine.openvino.weight_store import StoredWeights, open_stored
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ModelNotRunnableError
from smallsight.families.family import Family
from smallsight.families.messages import Detail, Message, PreparedPrompt, last_question
from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.model import Moondream2Model
from smallsight.families.moondream2.processor import Moondream2Processor
from smallsight.families.moondream2.region import KINDS, NumberKind, encoder_of
from smallsight.families.moondream2.templates import DESCRIBE
from smallsight.families.prompt_length import require_answer_length, require_length
from smallsight.families.stored_parts import PartWeights
from smallsight.graph.compiled import CompiledNetwork
from smallsight.graph.paged_attention import BLOCK_TOKENS
from smallsight.machine.memory import give_memory_back
from smallsight.settings import MIB

USUAL_TOKENS = 128  # of a typical question and its answer
MOST_FEATURE_BYTES = 16 * MIB  # two pictures: a second question reuses its prefix from the KV cache


@dataclass(frozen=True, eq=False)
class Moondream2Engine(EngineDefaults):
    """A loaded moondream2. ``weights`` must live as long as the networks behind ``worker`` and ``region``."""

    family: Family
    processor: Moondream2Processor
    weights: StoredWeights
    region: RegionHead
    worker: Worker
    features: FeatureCache
    num_blocks: int
    parts: tuple[PartWeights, ...]
    is_batch_independent: bool

    @property
    def max_at_once(self) -> int | None:
        """How many pictures with typical answers fit in the KV cache."""
        return max(1, self.num_blocks // _usual_blocks(self.processor.config))

    @property
    def key(self) -> str:
        """Identifies the stored weights."""
        return self.weights.key

    @property
    def weights_bytes(self) -> int:
        """Bytes of the stored weights."""
        return self.weights.num_bytes

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str = "",
    ) -> Generation:
        """Ask the last question about the one picture; earlier turns are ignored: the family has no chat."""
        prompt = self._prepare(messages, detail)
        return self.worker.submit(prompt, options, ignores_end=ignores_end, client=client)

    def score(self, messages: Sequence[Message], detail: Detail, answer: str | Sequence[int]) -> Generation:
        """Score an answer to the last question about the one picture."""
        if isinstance(answer, str):
            require_answer_length(self.processor.tokenizer, answer, self.processor.config.text.context_tokens)
            answer = self.processor.encode_answer(answer)
        return self.worker.score(self._prepare(messages, detail), answer)

    def count_tokens(self, messages: Sequence[Message], detail: Detail, _tools: str | None = None) -> int:
        """Make the prompt and return its number of tokens."""
        return len(self._prepare(messages, detail).token_ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return self.processor.token_bytes(token_id)

    def detect(self, image: Image.Image, detail: Detail, wanted: Wanted) -> Generation:
        """Detect the named things; the outcome's data holds their places in pixels."""
        prompt = self.processor.prepare(image, wanted.what, wanted.kind, detail)
        places = PlaceDetector(wanted, self.region, self.processor.config.end_token_id)
        return self.worker.submit(prompt, SamplingOptions(), places=places)

    def close(self) -> None:
        """End the worker; the memory is freed with the last reference to this engine."""
        self.worker.close()

    def _prepare(self, messages: Sequence[Message], detail: Detail) -> PreparedPrompt:
        require_length(self.processor.tokenizer, messages, self.processor.config.text.context_tokens)
        picture, question = last_question(messages, self.family.title)
        return self.processor.prepare(picture.image, question or self.prompts.describe, "query", detail)


def load_moondream2(family: Family, request: LoadRequest) -> Moondream2Engine:
    """Load a model folder in Hugging Face layout; raises SmallsightError.

    Networks are compiled one after the other, because in parallel they need more memory.
    """
    options = request.options
    model = Moondream2Model(request.model_dir, request.scheme)
    weights = open_stored(model, replace(request, scheme=model.scheme))
    with releasing_pages(weights):
        features = FeatureCache(min(options.feature_cache_bytes, MOST_FEATURE_BYTES))
        vision = CropRunner(
            (weights.compile(model.tower_graph), weights.compile(model.connector_graph)),
            model.to_patches,
            features,
            margin_patches=model.config.vision.margin_patches,
        )
        probe = weights.probe_rows(model.decoder_names)
        runner = PagedRunner(
            weights.compile(model.text_graph),
            cache_bytes=options.cache_bytes,
            min_tokens=model.config.text.context_tokens,
            row_bands=probe.bands,
        )
        _pack(model.processor, vision, runner)
    give_memory_back()  # what quantising and packing leave free would add to the peak of the first answer
    region = RegionHead(
        lambda kind: _packed_region(model, weights, kind),
        {kind: encoder_of(weights.stored, kind) for kind in KINDS},
    )
    worker_parts = _parts(model, vision, runner, options)
    parts = weights.count_parts(worker_parts.embeddings)
    worker = Worker(worker_parts)
    return Moondream2Engine(
        family, model.processor, weights, region, worker, features, runner.num_blocks, parts, probe.holds
    )


def _packed_region(
    model: Moondream2Model,
    weights: StoredWeights,
    kind: NumberKind,
) -> CompiledNetwork:
    """Compile the head for numbers of one kind and run it once, while pages of the weights are released."""
    with releasing_pages(weights):
        network = weights.compile(lambda stored: model.region_graph(stored, kind))
        network.model.create_infer_request().infer([np.zeros((1, model.config.text.hidden), np.float32)])
    return network


def _parts(model: Moondream2Model, vision: CropRunner, runner: PagedRunner, options: EngineOptions) -> Parts:
    processor, context_tokens = model.processor, model.config.text.context_tokens
    scheduler = Scheduler(
        BlockPool(
            options.limit_blocks(runner.num_blocks),
            BLOCK_TOKENS,
            comfortable_blocks=min(_usual_blocks(model.config), runner.num_blocks),
        ),
        max_sequences=options.max_sequences,
        chunk_tokens=options.chunk_tokens,
        max_step_tokens=options.max_step_tokens,
        context_tokens=context_tokens,
    )
    grammar = JsonGrammar(processor.tokenizer, processor.stop_token_ids)
    return Parts(processor, vision, runner, model.embeddings(), scheduler, context_tokens, grammar.constrain)


def _usual_blocks(config: Moondream2Config) -> int:
    """Return the blocks that a picture with a typical question and answer takes."""
    return -(-(config.prefix_tokens + USUAL_TOKENS) // BLOCK_TOKENS)


def _pack(processor: Moondream2Processor, vision: CropRunner, runner: PagedRunner) -> None:
    """Run tower and decoder once, so that the runtime packs their weights while pages are released."""
    blank = Image.new("RGB", (1, 1))
    vision.encode(processor.prepare(blank, DESCRIBE, "query", Detail.LOW).tiles[0])
    tokens_TD = np.random.default_rng(0).standard_normal((3, processor.config.text.hidden), np.float32)
    if processor.config.text.layers > 1:
        _require_prefixes(runner, tokens_TD)


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
