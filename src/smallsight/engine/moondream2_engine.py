"""moondream2's engine: makes prompts and submits them to a worker, and detects places with a region head.

The worker and the head determine the runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from smallsight.engine.decoding.block_pool import BlockPool
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.json_constraint import JsonGrammar
from smallsight.engine.decoding.place_detector import NumberHead, PlaceDetector, Wanted
from smallsight.engine.decoding.runner import Runner, TileEncoder
from smallsight.engine.decoding.scheduler import Scheduler
from smallsight.engine.decoding.worker import Parts, Worker
from smallsight.engine.engine import EngineDefaults, EngineOptions
from smallsight.engine.generation import Generation
from smallsight.engine.inline_engine import BLOCK_TOKENS
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.family import Family
from smallsight.families.messages import Detail, Message, PreparedPrompt, last_question
from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.processor import Moondream2Processor
from smallsight.families.prompt_length import require_answer_length, require_length
from smallsight.families.stored_parts import PartWeights
from smallsight.families.tensor_files import RowTable
from smallsight.settings import MIB

USUAL_TOKENS = 128  # of a typical question and its answer
MOST_FEATURE_BYTES = 16 * MIB  # two pictures: a second question reuses its prefix from the KV cache


@dataclass(frozen=True, eq=False)
class Moondream2Engine(EngineDefaults):
    """A loaded moondream2. ``held`` keeps alive what its networks need."""

    family: Family
    processor: Moondream2Processor
    region: NumberHead
    worker: Worker
    features: FeatureCache
    num_blocks: int
    key: str
    weights_bytes: int
    parts: tuple[PartWeights, ...]
    is_batch_independent: bool
    held: object
    devices: tuple[str, ...] = ()

    @property
    def max_at_once(self) -> int | None:
        """How many pictures with typical answers fit in the KV cache."""
        return max(1, self.num_blocks // usual_blocks(self.processor.config))

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


def moondream2_features(options: EngineOptions) -> FeatureCache:
    """Return the cache of image tokens that suits these options."""
    return FeatureCache(min(options.feature_cache_bytes, MOST_FEATURE_BYTES))


def moondream2_worker(
    processor: Moondream2Processor,
    vision: TileEncoder,
    runner: Runner,
    options: EngineOptions,
    embeddings: RowTable,
) -> Worker:
    """Start a worker over a runtime's tile encoder and runner."""
    context_tokens = processor.config.text.context_tokens
    scheduler = Scheduler(
        BlockPool(
            options.limit_blocks(runner.num_blocks),
            BLOCK_TOKENS,
            comfortable_blocks=min(usual_blocks(processor.config), runner.num_blocks),
        ),
        max_sequences=options.max_sequences,
        chunk_tokens=options.chunk_tokens,
        max_step_tokens=options.max_step_tokens,
        context_tokens=context_tokens,
    )
    grammar = JsonGrammar(processor.tokenizer, processor.stop_token_ids)
    return Worker(Parts(processor, vision, runner, embeddings, scheduler, context_tokens, grammar.constrain))


def usual_blocks(config: Moondream2Config) -> int:
    """Return the blocks that a picture with a typical question and answer takes."""
    return -(-(config.prefix_tokens + USUAL_TOKENS) // BLOCK_TOKENS)
