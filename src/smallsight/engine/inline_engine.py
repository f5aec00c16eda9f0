"""The engine of families whose image tokens are part of the text: makes prompts and submits them to a worker.

The worker determines the runtime.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from smallsight.engine.decoding.block_pool import BlockPool
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.json_constraint import JsonGrammar
from smallsight.engine.decoding.runner import Runner, TileEncoder
from smallsight.engine.decoding.scheduler import Scheduler
from smallsight.engine.decoding.worker import Parts, Worker
from smallsight.engine.decoding.worker_group import WorkerGroup
from smallsight.engine.engine import EngineDefaults, EngineOptions
from smallsight.engine.generation import Generation, failure_of
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.family import Capabilities, Family
from smallsight.families.frame_sampling import FrameSampling
from smallsight.families.inline_model import ChatProcessor, InlineModel
from smallsight.families.messages import Detail, Message, PreparedPrompt, TiledPicture
from smallsight.families.prompt_length import require_answer_length, require_length
from smallsight.families.stored_parts import PartWeights
from smallsight.families.tensor_files import RowTable

BLOCK_TOKENS = 32  # per block of the KV cache; OpenVINO supports no other size


@dataclass(frozen=True, eq=False)
class InlineEngine(EngineDefaults):
    """A loaded model. ``held`` keeps alive what its networks need."""

    family: Family
    processor: ChatProcessor
    worker: Worker | WorkerGroup
    features: FeatureCache
    context_tokens: int
    key: str
    weights_bytes: int
    is_batch_independent: bool
    held: object
    parts: tuple[PartWeights, ...] = ()
    devices: tuple[str, ...] = ()

    @property
    def capabilities(self) -> Capabilities:
        """Those of the family, and whether the checkpoint's own template knows tools."""
        return replace(self.family.capabilities, knows_tools=self.processor.knows_tools)

    @property
    def num_workers(self) -> int:
        """As many as were made for a small decoder."""
        return len(self.worker.workers) if isinstance(self.worker, WorkerGroup) else 1

    @property
    def frame_sampling(self) -> FrameSampling:
        """As the checkpoint was trained on videos; otherwise a few frames of one tile each."""
        return self.processor.frame_sampling

    def recall(self, digest: bytes, detail: Detail) -> TiledPicture | None:
        """Return the tiled picture cached for the file with this SHA-256, or None."""
        return self.processor.recall(digest, detail)

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str = "",
    ) -> Generation:
        """Make the prompt and submit it to the worker."""
        prompt = self._prepare(messages, detail, options.tools)
        return self.worker.submit(prompt, options, ignores_end=ignores_end, client=client)

    def score(self, messages: Sequence[Message], detail: Detail, answer: str | Sequence[int]) -> Generation:
        """Make the prompt and submit it to the worker with the answer."""
        if isinstance(answer, str):
            require_answer_length(self.processor.tokenizer, answer, self.context_tokens)
            answer = self.processor.encode_answer(answer)
        return self.worker.score(self._prepare(messages, detail), answer)

    def count_tokens(self, messages: Sequence[Message], detail: Detail, tools: str | None = None) -> int:
        """Make the prompt and return its number of tokens."""
        return len(self._prepare(messages, detail, tools).token_ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return self.processor.token_bytes(token_id)

    def close(self) -> None:
        """End the workers; the memory is freed with the last reference to this engine."""
        self.worker.close()

    def _prepare(
        self, messages: Sequence[Message], detail: Detail, tools: str | None = None
    ) -> PreparedPrompt:
        require_length(self.processor.tokenizer, messages, self.context_tokens, tools or "")
        found = {} if tools is None else json.loads(tools)
        offered = [] if found.get("tool_choice") == "none" else found.get("tools", [])
        try:
            return self.processor.prepare(messages, detail=detail, tools=offered)
        except MemoryError as error:
            raise failure_of(error) from error


def inline_worker(
    model: InlineModel,
    vision: TileEncoder,
    runner: Runner,
    options: EngineOptions,
    embeddings: RowTable | None = None,
) -> Worker:
    """Start a worker over a runtime's tile encoder and runner; the table defaults to the model's."""
    processor = model.processor
    scheduler = Scheduler(
        BlockPool(options.limit_blocks(runner.num_blocks), BLOCK_TOKENS),
        max_sequences=options.max_sequences,
        chunk_tokens=options.chunk_tokens,
        max_step_tokens=options.max_step_tokens,
        context_tokens=model.context_tokens,
    )
    grammar = JsonGrammar(processor.tokenizer, processor.stop_token_ids)
    return Worker(
        Parts(
            processor,
            vision,
            runner,
            model.embeddings() if embeddings is None else embeddings,
            scheduler,
            model.context_tokens,
            grammar.constrain,
        )
    )
