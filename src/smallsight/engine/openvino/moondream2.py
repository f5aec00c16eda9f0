"""Wires one moondream2: processor, networks, cache, scheduler and the worker that drives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.decoding.block_pool import BlockPool
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.json_constraint import JsonGrammar
from smallsight.engine.decoding.place_finder import PlaceFinder, Wanted
from smallsight.engine.decoding.scheduler import Scheduler
from smallsight.engine.decoding.worker import Parts, Worker
from smallsight.engine.engine import EngineOptions
from smallsight.engine.generation import Generation
from smallsight.engine.openvino.crop_runner import CropRunner
from smallsight.engine.openvino.moondream2_networks import (
    Moondream2Networks,
    StoredWeights,
    compile_networks,
    open_weights,
)
from smallsight.engine.openvino.packing import releasing_pages
from smallsight.engine.openvino.text_runner import StepInput, TextRunner
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ModelNotRunnableError, SettingsError
from smallsight.families.byte_level import token_bytes
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.processor import Moondream2Processor
from smallsight.families.moondream2.templates import DESCRIBE, LENGTHS
from smallsight.families.patches import cut_patches
from smallsight.families.prompt_length import require_length
from smallsight.graph.paged_attention import BLOCK_TOKENS
from smallsight.machine.memory import give_memory_back
from smallsight.policy.progress import OnProgress
from smallsight.settings import MIB

USUAL_TOKENS = 128  # of a question and its answer
MOST_FEATURE_BYTES = 16 * MIB  # two pictures: a second question finds its prefix in the cache of blocks


@dataclass(frozen=True, eq=False)
class Moondream2Engine:
    """A loaded moondream2: requests go through ``worker``, prompts are made by ``processor``."""

    processor: Moondream2Processor
    weights: StoredWeights
    networks: Moondream2Networks
    worker: Worker
    features: FeatureCache
    num_blocks: int
    describe_prompt: str = DESCRIBE
    supports_chat: bool = False

    @property
    def descriptions(self) -> Mapping[str, str]:
        """What to ask for a description of each length."""
        return LENGTHS

    @property
    def num_at_once(self) -> int:
        """How many pictures with usual answers the cache holds."""
        return max(1, self.num_blocks // _usual_blocks(self.processor.config))

    @property
    def key(self) -> str:
        """Names the weights as they are stored."""
        return self.weights.key

    @property
    def weights_bytes(self) -> int:
        """The weights as they are stored."""
        return self.weights.weights_bytes

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str = "",
    ) -> Generation:
        """Ask the last question about the one picture; earlier turns are not seen, this is no chat model."""
        if options.num_beams not in (None, 1):
            raise SettingsError("moondream2 does not search with beams.", hint="leave num_beams out.")
        require_length(self.processor.tokenizer, messages, self.processor.config.text.context_tokens)
        image, question = _question(messages)
        prompt = self.processor.prepare(image, question, "query", detail)
        return self.worker.submit(prompt, options, ignores_end=ignores_end, client=client)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return token_bytes(self.processor.tokenizer, token_id)

    def find(self, image: Image.Image, detail: Detail, wanted: Wanted) -> Generation:
        """Look for things of one name; the outcome's data holds places in pixels."""
        prompt = self.processor.prepare(image, wanted.what, wanted.kind, detail)
        places = PlaceFinder(wanted, self.networks.region, self.processor.config.end_token_id)
        return self.worker.submit(prompt, SamplingOptions(), places=places)

    def close(self) -> None:
        """End the worker; the networks' memory goes with the last reference to this."""
        self.worker.close()


def load_moondream2(
    model_dir: Path,
    precision: str,
    *,
    threads: int = 0,
    prepared_dir: Path | None = None,
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
) -> Moondream2Engine:
    """Load a folder in Hugging Face layout in one of ``SCHEMES``; raises subclasses of SmallsightError."""
    chosen = options or EngineOptions()
    processor = Moondream2Processor(model_dir)
    config = processor.config
    weights = open_weights(
        find_weight_files(model_dir), config, precision, prepared_dir=prepared_dir, on_progress=on_progress
    )

    def to_patches(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        return cut_patches(processor.normalise(pixels_HWC), config.vision.patch_px)

    with releasing_pages(weights.stored):
        networks = compile_networks(weights.stored, config, precision, threads=threads)
        features = FeatureCache(min(chosen.feature_cache_bytes, MOST_FEATURE_BYTES))
        vision = CropRunner(
            (networks.tower, networks.connector),
            to_patches,
            features,
            margin_patches=config.vision.margin_patches,
        )
        context_tokens = config.text.context_tokens
        text = TextRunner(networks.text, cache_bytes=chosen.cache_bytes, min_tokens=context_tokens)
        _pack(processor, vision, text)
    give_memory_back()  # what quantising and packing have left would stand beside the first answer
    scheduler = Scheduler(
        BlockPool(
            chosen.limit_blocks(text.cache.num_blocks),
            BLOCK_TOKENS,
            comfortable_blocks=min(_usual_blocks(config), text.cache.num_blocks),
        ),
        max_sequences=chosen.max_sequences,
        chunk_tokens=chosen.chunk_tokens,
        max_step_tokens=chosen.max_step_tokens,
        context_tokens=context_tokens,
    )
    grammar = JsonGrammar(processor.tokenizer, processor.stop_token_ids)
    parts = Parts(processor, vision, text, weights.embeddings, scheduler, context_tokens, grammar.constrain)
    return Moondream2Engine(processor, weights, networks, Worker(parts), features, text.cache.num_blocks)


def _usual_blocks(config: Moondream2Config) -> int:
    """Return how many blocks a picture with a usual question and answer takes."""
    return -(-(config.prefix_tokens + USUAL_TOKENS) // BLOCK_TOKENS)


def _pack(processor: Moondream2Processor, vision: CropRunner, text: TextRunner) -> None:
    """Run tower and decoder once: the runtime packs their weights while their pages are given back."""
    blank = Image.new("RGB", (1, 1))
    vision.encode(processor.prepare(blank, DESCRIBE, "query", Detail.LOW).tiles[0])
    tokens_TD = np.random.default_rng(0).standard_normal((3, processor.config.text.hidden), np.float32)
    if processor.config.text.layers > 1:
        _require_prefixes(text, tokens_TD)


def _require_prefixes(text: TextRunner, tokens_TD: NDArray[np.float32]) -> None:
    """Raise ModelNotRunnableError where the runtime ignores token types, as it may on other processors.

    Of three tokens the last only sees what is before it. Its logits tell whether the first saw the second,
    given two layers.
    """
    scratch = (text.cache.num_blocks,)
    with_prefix, without = (
        text.run([StepInput(tokens_TD, 0, scratch, wants_logits=True, prefix_tokens=tokens)]).copy()
        for tokens in (2, 0)
    )
    if np.isfinite(without).all() and np.array_equal(with_prefix, without):
        raise ModelNotRunnableError(
            "The runtime does not let a picture's tokens see one another on this processor.",
            hint="choose SmolVLM or Florence-2, which need nothing of the kind.",
        )


def _question(messages: Sequence[Message]) -> tuple[Image.Image, str]:
    """Return the one picture of the conversation, and what the user asked last."""
    pictures = [part.image for message in messages for part in message.parts if isinstance(part, PicturePart)]
    if len(pictures) != 1:
        raise SettingsError(
            f"moondream2 looks at one picture at a time, and was given {len(pictures)}.",
            hint="ask about each by itself.",
        )
    asked = [message for message in messages if message.role == "user"][-1]
    text = " ".join(part.text for part in asked.parts if isinstance(part, TextPart))
    return pictures[0], text if text.strip() else DESCRIBE
