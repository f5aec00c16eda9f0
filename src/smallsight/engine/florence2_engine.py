"""The engine of Florence-2: makes prompts and submits them to the worker that runs beam search.

The worker determines the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smallsight.engine.decoding.answer_scorer import AnswerScorer
from smallsight.engine.decoding.beam_search import BeamOptions
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.search_worker import ActiveSearch, SearchWorker
from smallsight.engine.engine import EngineDefaults
from smallsight.engine.generation import Generation
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError, PromptTooLongError
from smallsight.families.byte_level import token_bytes
from smallsight.families.family import Family
from smallsight.families.florence2.generation_defaults import GenerationDefaults
from smallsight.families.florence2.post_process import in_words
from smallsight.families.florence2.processor import Florence2Processor, Florence2Prompt
from smallsight.families.florence2.tasks import READING_TASKS
from smallsight.families.messages import Detail, Message, last_question
from smallsight.families.prompt_length import require_answer_length, require_length
from smallsight.families.stored_parts import PartWeights


@dataclass(frozen=True, eq=False)
class Florence2Engine(EngineDefaults):
    """A loaded Florence-2. ``held`` keeps alive what its networks need."""

    family: Family
    processor: Florence2Processor
    defaults: GenerationDefaults
    worker: SearchWorker[Any]  # with what its runtime keeps of an encoded prompt
    features: FeatureCache
    key: str
    weights_bytes: int
    is_batch_independent: bool
    held: object
    parts: tuple[PartWeights, ...] = ()

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,  # noqa: ARG002 - every picture becomes one square of fixed size
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str = "",
    ) -> Generation:
        """Ask the last question about the one picture; earlier turns are ignored: the family has no chat."""
        beam_options = self._beam_options(options, ignores_end=ignores_end)
        prompt = self._prepare(messages)

        def read(token_ids: Sequence[int]) -> tuple[str, Mapping[str, Any] | None]:
            return in_words(self.processor.read(token_ids, prompt), prompt.task)

        # A reading task and one about places may find nothing.
        is_never_empty = prompt.task.form == "text" and prompt.task.token not in READING_TASKS
        beam_options = replace(beam_options, is_never_empty=is_never_empty)
        return self.worker.submit(ActiveSearch(prompt.prepared, beam_options, read, client))

    def score(
        self,
        messages: Sequence[Message],
        detail: Detail,  # noqa: ARG002 - every picture becomes one square of fixed size
        answer: str | Sequence[int],
    ) -> Generation:
        """Score an answer to the last question about the one picture, without beams or forced tokens."""
        config = self.processor.config
        limit = config.text_positions - 1  # the start token takes the first position
        if isinstance(answer, str):
            require_answer_length(self.processor.tokenizer, answer, limit)
            answer = self.processor.encode_answer(answer)
        scorer = AnswerScorer(answer, config.vocabulary)
        if len(answer) > limit:
            raise PromptTooLongError(
                f"The answer has {len(answer)} tokens (limit {limit}).", hint="shorten the answer."
            )
        options = BeamOptions(config.start_token_id, frozenset(), 1 + len(answer))
        prompt = self._prepare(messages).prepared
        return self.worker.submit(ActiveSearch(prompt, options, lambda _: ("", None), scorer=scorer))

    def count_tokens(self, messages: Sequence[Message], _detail: Detail, _tools: str | None = None) -> int:
        """Make the prompt and return its number of tokens."""
        return len(self._prepare(messages).prepared.token_ids)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return token_bytes(self.processor.tokenizer, token_id)

    def close(self) -> None:
        """End the worker; the memory is freed with the last reference to this engine."""
        self.worker.close()

    def _prepare(self, messages: Sequence[Message]) -> Florence2Prompt:
        limit = self.processor.config.text_positions
        require_length(self.processor.tokenizer, messages, limit)
        picture, question = last_question(messages, self.family.title)
        prompt = self.processor.prepare(question or self.prompts.describe, picture.image)
        if (num_tokens := len(prompt.prepared.token_ids)) > limit:
            raise PromptTooLongError(
                f"The prompt has {num_tokens} tokens (limit {limit}).", hint="shorten the text."
            )
        return prompt

    def _beam_options(self, options: SamplingOptions, *, ignores_end: bool) -> BeamOptions:
        plain = SamplingOptions(max_tokens=options.max_tokens, num_beams=options.num_beams, seed=options.seed)
        if options != plain:
            raise ArgumentError(
                "Florence-2 does not support sampling options, stop strings, logprobs or JSON schemas.",
                hint="use only max_tokens and num_beams.",
            )
        config, defaults = self.processor.config, self.defaults
        return BeamOptions(
            start_token_id=config.start_token_id,
            end_token_ids=frozenset(() if ignores_end else (config.end_token_id,)),
            max_length=min(1 + (options.max_tokens or config.text_positions), config.text_positions),
            num_beams=options.num_beams or defaults.num_beams,
            length_penalty=defaults.length_penalty,
            early_stopping=defaults.early_stopping,
            no_repeat_ngram=defaults.no_repeat_ngram,
            forced_first_token_id=defaults.forced_first_token_id,
            forced_last_token_id=defaults.forced_last_token_id,
        )
