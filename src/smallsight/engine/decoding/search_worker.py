"""The one thread that owns an encoder-decoder: encodes pictures and prompts, and searches several at once.

Waiting requests with the same number of beams and the same padded length are answered as one batch. Beam
search knows its answer only at the end, so the text arrives in one piece.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from smallsight.engine.decoding.answer_scorer import AnswerScorer, ScoringSearch
from smallsight.engine.decoding.beam_search import BeamOptions, BeamSearch
from smallsight.engine.decoding.engine_thread import EngineThread
from smallsight.engine.decoding.runner import Encoded, EncoderDecoder, TileEncoder, TokenSearch
from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.engine.generation import FinishReason, Generation, Outcome, failure_of
from smallsight.errors import ModelClosedError, SmallsightError
from smallsight.families.messages import PreparedPrompt
from smallsight.policy.log import get_logger
from smallsight.policy.turns import Turns

log = get_logger(__name__)

ReadTokens = Callable[[Sequence[int]], tuple[str, Mapping[str, Any] | None]]


@dataclass(eq=False, slots=True)
class ActiveSearch:
    """A request in the worker; ``read`` turns its tokens into text and data.

    With ``scorer`` a given answer is scored, on one beam.
    """

    prompt: PreparedPrompt
    options: BeamOptions
    read: ReadTokens
    client: str = ""
    scorer: AnswerScorer | None = None
    generation: Generation = field(default_factory=Generation)
    started_s: float = field(default_factory=time.perf_counter)
    first_token_at_s: float | None = None
    vision_s: float = 0.0
    prefill_s: float = 0.0

    def __post_init__(self) -> None:
        self.generation.prompt_tokens = len(self.prompt.token_ids)

    def search(self) -> TokenSearch:
        """Return what chooses the tokens."""
        if self.scorer is not None:
            return ScoringSearch(self.scorer, self.options.start_token_id)
        return BeamSearch(self.options)

    def outcome(self, tokens: Sequence[int], image_token_id: int) -> Outcome:
        """Return the text, tokens and timings so far."""
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
            scores=None if self.scorer is None else self.scorer.scores(),
        )


class SearchWorker(Generic[Encoded]):
    """Answers requests in batches; clients take turns. Thread-safe; closing it ends its thread."""

    def __init__(
        self,
        vision: TileEncoder,
        text: EncoderDecoder[Encoded],
        image_token_id: int,
        on_packed: Callable[[], None] | None = None,
    ) -> None:
        """``on_packed`` is called after the first batch, when the runtime has copied the weights."""
        self._vision, self._text, self._image_token_id = vision, text, image_token_id
        self._on_packed = on_packed
        self._inbox: queue.SimpleQueue[ActiveSearch | None] = queue.SimpleQueue()
        self._waiting: list[ActiveSearch] = []
        self._turns = Turns()
        self._is_closed = False
        self._turn = threading.Lock()
        self._thread = EngineThread(self._loop)

    def submit(self, request: ActiveSearch) -> Generation:
        """Start a request; raises ModelClosedError after ``close``."""
        with self._turn:
            if self._is_closed:
                raise ModelClosedError("The model has been closed.", hint="load it again.")
            self._inbox.put(request)
        return request.generation

    def close(self) -> None:
        """Fail every request and end the thread."""
        with self._turn:
            self._is_closed = True
            self._inbox.put(None)
        self._thread.join()

    def _loop(self) -> bool:
        """Answer batches until closed. A failed one fails its requests; at the next request, return True."""
        has_failed = False
        while self._accept_requests():
            if has_failed:
                return True
            ordered = self._turns.order(self._waiting, lambda request: request.client)
            first = self._batch_key(ordered[0])
            alike = [request for request in ordered if self._batch_key(request) == first]
            batch = alike[: self._text.most_at_once(ordered[0].options.num_beams)]
            for request in batch:
                self._turns.serve(request.client)
            self._waiting = [request for request in self._waiting if request not in batch]
            try:
                self._answer(batch)
            except Exception as error:
                if not isinstance(error, SmallsightError):
                    log.exception("engine_batch_failed")
                _fail(batch, failure_of(error))
                has_failed = True
        _fail(self._waiting, ModelClosedError("The model was closed.", hint="load it again."))
        return False

    def _accept_requests(self) -> bool:
        """Accept new requests, waiting for one when idle; return False when closed."""
        while True:
            try:
                request = self._inbox.get(block=not self._waiting)
            except queue.Empty:
                return True
            if request is None:
                return False
            self._waiting.append(request)

    def _batch_key(self, request: ActiveSearch) -> tuple[int, int]:
        """Return what the requests of a batch must share: number of beams and padded prompt length."""
        return request.options.num_beams, self._text.batch_key(len(request.prompt.token_ids))

    def _answer(self, batch: Sequence[ActiveSearch]) -> None:
        prompts = [self._encode(request) for request in batch if not self._is_abandoned(request)]
        requests = [request for request, _ in prompts]
        searches = [request.search() for request in requests]
        ended = [False] * len(requests)

        def on_step() -> Sequence[bool]:
            for index, (request, search) in enumerate(zip(requests, searches, strict=True)):
                if request.first_token_at_s is None:
                    request.first_token_at_s = time.perf_counter()
                if not ended[index] and (search.is_done or self._is_abandoned(request)):
                    ended[index] = True
                    self._finish(request, search.tokens)
            return ended

        if requests:
            self._text.search([encoded for _, encoded in prompts], searches, on_step)
        for request in batch:
            if not request.generation.is_done:  # cancelled before it started
                self._finish(request, ())
        if self._on_packed is not None:
            self._on_packed()
            self._on_packed = None

    def _encode(self, request: ActiveSearch) -> tuple[ActiveSearch, Encoded]:
        tile = request.prompt.tiles[0]
        began_s = time.perf_counter()
        features_TD = self._vision.known(tile)
        if features_TD is None:
            encoded_tiles = None
            while encoded_tiles is None:
                encoded_tiles = self._vision.encode([tile])
            (features_TD,) = encoded_tiles
            request.vision_s = time.perf_counter() - began_s
        began_s = time.perf_counter()
        encoded = self._text.encode(request.prompt.token_ids, self._image_token_id, features_TD)
        request.prefill_s = time.perf_counter() - began_s
        return request, encoded

    def _is_abandoned(self, request: ActiveSearch) -> bool:
        return self._is_closed or request.generation.is_cancelled

    def _finish(self, request: ActiveSearch, tokens: Sequence[int]) -> None:
        if self._is_closed and not request.generation.is_cancelled:
            request.generation.fail(ModelClosedError("The model was closed.", hint="load it again."))
            return
        outcome = request.outcome(tokens, self._image_token_id)
        request.generation.add(outcome.text)
        request.generation.finish(outcome)


def _fail(requests: Sequence[ActiveSearch], error: SmallsightError) -> None:
    for request in requests:
        if not request.generation.is_done:
            request.generation.fail(error)
