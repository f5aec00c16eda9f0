"""The one thread that owns an encoder-decoder: encodes pictures and prompts, searches for several at once.

Requests that have waited together and are alike in beams and memory are answered as one batch. With beams an
answer is known only at its end, so its text comes in one piece.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from smallsight.engine.decoding.beam_search import BeamOptions, BeamSearch
from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.engine.generation import FinishReason, Generation, Outcome
from smallsight.engine.openvino.encoder_decoder import MEMORY_STEP, EncodedPrompt, EncoderDecoder
from smallsight.engine.openvino.vision_runner import VisionRunner
from smallsight.errors import ModelClosedError, SmallsightError
from smallsight.families.messages import PreparedPrompt
from smallsight.policy.turns import Turns

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 8  # memories of a batch are copied side by side: 190 MB for Florence-2-base, 500 for -large

ReadTokens = Callable[[Sequence[int]], tuple[str, Mapping[str, Any] | None]]


@dataclass(eq=False, slots=True)
class ActiveSearch:
    """A request; ``read`` turns its tokens into text and data."""

    prompt: PreparedPrompt
    options: BeamOptions
    read: ReadTokens
    client: str = ""
    generation: Generation = field(default_factory=Generation)
    started_s: float = field(default_factory=time.perf_counter)
    first_token_at_s: float | None = None
    vision_s: float = 0.0
    prefill_s: float = 0.0

    @property
    def kind(self) -> tuple[int, int]:
        """What requests of one batch have in common: beams, and the length that memory is padded to."""
        return self.options.num_beams, -(-len(self.prompt.token_ids) // MEMORY_STEP)

    def outcome(self, tokens: Sequence[int], image_token_id: int) -> Outcome:
        """Sum up what was produced until now."""
        now_s = time.perf_counter()
        first_s = now_s if self.first_token_at_s is None else self.first_token_at_s
        reason: FinishReason = "length" if len(tokens) + 1 >= self.options.max_length else "stop"
        text, data = self.read(tokens)
        return Outcome(
            text=text,
            choices=tuple(TokenChoice(token) for token in tokens),
            finish_reason="cancelled" if self.generation.is_cancelled else reason,
            prompt_tokens=len(self.prompt.token_ids),
            image_tokens=self.prompt.token_ids.count(image_token_id),
            cached_tokens=0,
            vision_s=self.vision_s,
            prefill_s=self.prefill_s,
            first_token_s=first_s - self.started_s,
            decode_s=now_s - first_s,
            total_s=now_s - self.started_s,
            data=data,
        )


class SearchWorker:
    """Answers requests of clients in turn, several together. Thread-safe; close it to end its thread."""

    def __init__(
        self,
        vision: VisionRunner,
        text: EncoderDecoder,
        image_token_id: int,
        on_packed: Callable[[], None] | None = None,
    ) -> None:
        """``on_packed`` is called after the first batch, when the runtime has its own copy of the weights."""
        self._vision, self._text, self._image_token_id = vision, text, image_token_id
        self._on_packed = on_packed
        self._inbox: queue.SimpleQueue[ActiveSearch | None] = queue.SimpleQueue()
        self._waiting: list[ActiveSearch] = []
        self._turns = Turns()
        self._is_closed = False
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._live, name="smallsight-engine", daemon=True)
        self._thread.start()

    def submit(self, job: ActiveSearch) -> Generation:
        """Start a request; raises ModelClosedError when closed."""
        with self._turn:
            if self._is_closed:
                raise ModelClosedError("The model has been closed.", hint="load it again.")
            self._inbox.put(job)
        return job.generation

    def close(self) -> None:
        """End every request with an error, and the thread."""
        with self._turn:
            self._is_closed = True
            self._inbox.put(None)
        self._thread.join()

    def _live(self) -> None:
        """Work until closed; the boundary behind which no error of one batch may end the engine."""
        while self._take_in():
            in_turn = self._turns.order(self._waiting, lambda job: job.client)
            batch = [job for job in in_turn if job.kind == in_turn[0].kind][:MOST_AT_ONCE]
            for job in batch:
                self._turns.serve(job.client)
            self._waiting = [job for job in self._waiting if job not in batch]
            try:
                self._answer(batch)
            except SmallsightError as error:
                _fail(batch, error)
            except Exception as error:
                log.exception("engine_batch_failed")
                _fail(batch, SmallsightError(f"The engine failed: {error}", hint="ask again."))
        _fail(self._waiting, ModelClosedError("The model was closed.", hint="load it again."))

    def _take_in(self) -> bool:
        """Accept new requests, waiting for one when there is nothing to do; False when closed."""
        while True:
            try:
                job = self._inbox.get(block=not self._waiting)
            except queue.Empty:
                return True
            if job is None:
                return False
            self._waiting.append(job)

    def _answer(self, batch: Sequence[ActiveSearch]) -> None:
        memories = [self._remember(job) for job in batch if not self._is_given_up(job)]
        jobs = [job for job, _ in memories]
        searches = [BeamSearch(job.options) for job in jobs]
        ended = [False] * len(jobs)

        def on_step() -> Sequence[bool]:
            for index, (job, search) in enumerate(zip(jobs, searches, strict=True)):
                if job.first_token_at_s is None:
                    job.first_token_at_s = time.perf_counter()
                if not ended[index] and (search.is_done or self._is_given_up(job)):
                    ended[index] = True
                    self._finish(job, search.tokens)
            return ended

        if jobs:
            self._text.search([memory for _, memory in memories], searches, on_step)
        for job in batch:
            if not job.generation.is_done:  # given up before it was begun
                self._finish(job, ())
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None

    def _remember(self, job: ActiveSearch) -> tuple[ActiveSearch, EncodedPrompt]:
        tile = job.prompt.tiles[0]
        began_s = time.perf_counter()
        if (features_TD := self._vision.find(tile)) is None:
            features_TD = self._vision.encode(tile)
            job.vision_s = time.perf_counter() - began_s
        began_s = time.perf_counter()
        memory = self._text.remember(job.prompt.token_ids, self._image_token_id, features_TD)
        job.prefill_s = time.perf_counter() - began_s
        return job, memory

    def _is_given_up(self, job: ActiveSearch) -> bool:
        return self._is_closed or job.generation.is_cancelled

    def _finish(self, job: ActiveSearch, tokens: Sequence[int]) -> None:
        if self._is_closed and not job.generation.is_cancelled:
            job.generation.fail(ModelClosedError("The model was closed.", hint="load it again."))
            return
        outcome = job.outcome(tokens, self._image_token_id)
        job.generation.add(outcome.text)
        job.generation.finish(outcome)


def _fail(jobs: Sequence[ActiveSearch], error: SmallsightError) -> None:
    for job in jobs:
        if not job.generation.is_done:
            job.generation.fail(error)
