"""The one thread that owns a model: accepts requests, encodes tiles, runs decoder steps and delivers text.

The scheduler decides what to compute next; the request interprets the results. Callers use only ``submit``
and the ``Generation`` it returns.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from smallsight.engine.decoding.active_request import ActiveRequest, cuts_of, embed_prompt, identities_of
from smallsight.engine.decoding.answer_scorer import AnswerScorer
from smallsight.engine.decoding.engine_thread import EngineThread
from smallsight.engine.decoding.place_detector import PlaceDetector
from smallsight.engine.decoding.proofreader import Proofreader
from smallsight.engine.decoding.runner import Runner, StepInput, StepOutput, TileEncoder
from smallsight.engine.decoding.sampler import Constraint, Sampler
from smallsight.engine.decoding.scheduler import Chunk, Scheduler
from smallsight.engine.decoding.shared_calls import run_step
from smallsight.engine.decoding.text_stream import TextStream
from smallsight.engine.decoding.tile_turns import TileTurns
from smallsight.engine.decoding.token_sequence import TokenSequence
from smallsight.engine.generation import FinishReason, Generation, failure_of
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import (
    ModelClosedError,
    OutOfResourcesError,
    PromptTooLongError,
    SmallsightError,
)
from smallsight.families.messages import PreparedPrompt
from smallsight.families.tensor_files import RowTable
from smallsight.policy.log import get_logger

log = get_logger(__name__)


class Tokens(Protocol):
    """What the worker needs from a family's processor."""

    @property
    def image_token_id(self) -> int:
        """The placeholder for one image token of a tile."""
        ...

    @property
    def tokens_per_tile(self) -> int:
        """Image tokens per tile."""
        ...

    @property
    def is_proofread(self) -> bool:
        """Whether a ``Proofreader`` corrects the model's answers."""
        ...

    @property
    def stop_token_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the tokens' text."""
        ...


@dataclass(frozen=True, eq=False)
class Parts:
    """What a worker is made of: processor, encoder, decoder, embedding table, scheduler and JSON grammar."""

    tokens: Tokens
    vision: TileEncoder
    runner: Runner
    embeddings: RowTable
    scheduler: Scheduler
    context_tokens: int
    constrain: Callable[[str], Constraint]


@dataclass(frozen=True)
class WorkerState:
    """A snapshot of counts: KV cache blocks, sequences, and preemptions and steps since the start."""

    num_blocks: int
    num_used_blocks: int
    num_cached_blocks: int
    num_running: int
    num_waiting: int
    num_preemptions: int
    num_steps: int

    @property
    def num_free_blocks(self) -> int:
        """Blocks that can be allocated, including those whose cached contents would be evicted."""
        return self.num_blocks - self.num_used_blocks


class Worker:
    """Runs requests concurrently. Thread-safe; ``close`` fails requests in progress and ends the thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._inbox: queue.SimpleQueue[ActiveRequest | None] = queue.SimpleQueue()
        self._requests: dict[int, ActiveRequest] = {}
        self._ids = itertools.count()
        self._is_closed = False
        self._turn = threading.Lock()
        self._tiles = TileTurns(parts.vision)
        self._num_steps = 0
        self._thread = EngineThread(self._loop)

    def submit(
        self,
        prompt: PreparedPrompt,
        options: SamplingOptions,
        *,
        ignores_end: bool = False,
        places: PlaceDetector | None = None,
        client: str = "",
    ) -> Generation:
        """Start a request; raises PromptTooLongError or ModelClosedError before anything is computed.

        ``ignores_end`` generates past end tokens, for benchmarks. With ``places`` the request detects places.
        Different clients take turns.
        """
        num_tokens = len(prompt.token_ids)
        if num_tokens >= self._parts.context_tokens:
            raise PromptTooLongError(
                f"The prompt has {num_tokens} tokens (limit {self._parts.context_tokens - 1}).",
                hint="ask about fewer or smaller pictures, use detail low, or shorten the text.",
            )
        request = self._make_request(prompt, options, ignores_end=ignores_end, client=client)
        request.places = places
        return self._accept(request)

    def score(self, prompt: PreparedPrompt, answer: Sequence[int]) -> Generation:
        """Start a request that scores a given answer; raises as ``submit``, and ArgumentError."""
        scorer = AnswerScorer(answer, self._parts.embeddings.num_rows)
        num_tokens = len(prompt.token_ids) + len(answer)
        if num_tokens > self._parts.context_tokens:
            raise PromptTooLongError(
                f"The prompt and the answer have {num_tokens} tokens (limit {self._parts.context_tokens}).",
                hint="shorten the answer, ask about fewer or smaller pictures, or use detail low.",
            )
        request = self._make_request(prompt, SamplingOptions(), ignores_end=True, client="")
        request.scorer = scorer
        return self._accept(request)

    def inspect(self) -> WorkerState:
        """Return the worker's counts, from any thread; they may be inconsistent while a step runs."""
        scheduler = self._parts.scheduler
        return WorkerState(
            num_blocks=scheduler.pool.num_blocks,
            num_used_blocks=scheduler.pool.num_used,
            num_cached_blocks=scheduler.pool.num_cached,
            num_running=len(scheduler.running),
            num_waiting=scheduler.num_waiting,
            num_preemptions=scheduler.num_preemptions,
            num_steps=self._num_steps,
        )

    def close(self) -> None:
        """Fail every request and end the thread; the runners' memory is freed with the worker."""
        with self._turn:
            self._is_closed = True
            self._inbox.put(None)
        self._thread.join()

    def _accept(self, request: ActiveRequest) -> Generation:
        with self._turn:
            if self._is_closed:
                raise ModelClosedError("The model has been closed.", hint="load it again.")
            self._inbox.put(request)
        return request.generation

    def _make_request(
        self,
        prompt: PreparedPrompt,
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str,
    ) -> ActiveRequest:
        tokens = self._parts.tokens
        embeddings_TD, image_rows = embed_prompt(prompt, tokens.image_token_id, self._parts.embeddings)
        sequence = TokenSequence(
            id=next(self._ids),
            identities=identities_of(prompt, tokens.image_token_id, tokens.tokens_per_tile),
            prompt_token_ids=list(prompt.token_ids),
            options=options,
            is_ready=not prompt.tiles,
            prefix_tokens=prompt.prefix_tokens,
            cuts=cuts_of(
                image_rows,
                prompt.shown,
                tokens.tokens_per_tile,
                self._parts.scheduler.chunk_tokens,
                self._parts.scheduler.pool.block_tokens,
            ),
            client=client,
        )
        return ActiveRequest(
            prompt=prompt,
            sequence=sequence,
            sampler=Sampler(
                options,
                prompt.token_ids,
                None if options.json_schema is None else self._parts.constrain(options.json_schema),
            ),
            stream=TextStream(
                tokens.decode,
                options.stop,
                Proofreader() if tokens.is_proofread and _is_plain(options) and not ignores_end else None,
            ),
            generation=Generation(len(prompt.token_ids)),
            ignores_end=ignores_end,
            image_rows=image_rows,
            pending_tiles=list(prompt.tiles),
            embeddings_TD=embeddings_TD,
            end_token_ids=tokens.stop_token_ids,
        )

    def _loop(self) -> bool:
        """Run steps until closed. A failed one fails its requests; at the next request, return True."""
        has_failed = False
        while self._accept_requests():
            if has_failed:
                return True
            try:
                self._step()
            except Exception as error:
                if not isinstance(error, SmallsightError):
                    log.exception("engine_step_failed")
                self._fail_all(failure_of(error))
                has_failed = True
        self._fail_all(ModelClosedError("The model was closed.", hint="load it again."))
        return False

    def _accept_requests(self) -> bool:
        """Accept new requests, waiting for one when idle; return False when closed."""
        while True:
            try:
                request = self._inbox.get(block=not self._requests)
            except queue.Empty:
                return True
            if request is None:
                return False
            self._requests[request.sequence.id] = request
            self._parts.scheduler.add(request.sequence)

    def _step(self) -> None:
        """Drop what was cancelled, encode tiles, and compute what the scheduler chooses."""
        for request in list(self._requests.values()):
            if request.generation.is_cancelled:
                self._parts.scheduler.cancel(request.sequence.id)
                self._end(request, "cancelled")
        self._tiles.run(self._requests.values())
        scheduler = self._parts.scheduler
        chunks = scheduler.next_step()
        for sequence in scheduler.take_failed() if scheduler.failed else ():
            self._end(
                self._requests[sequence.id],
                OutOfResourcesError(
                    "The prompt does not fit in the KV cache.",
                    hint="ask about fewer pictures at once.",
                ),
            )
        for source, target in scheduler.take_copies() if scheduler.copies else ():
            self._parts.runner.copy_block(source, target)
        if chunks:
            self._run(chunks)

    def _run(self, chunks: Sequence[Chunk]) -> None:
        started_s = time.perf_counter()
        self._num_steps += 1
        output = run_step(self._parts.runner, self._pieces(chunks))
        chosen = self._choose(chunks, output)
        seconds = time.perf_counter() - started_s
        for chunk in chunks:
            held = self._requests.get(chunk.sequence.id)
            if held is not None and held.first_token_at_s is None:
                held.prefill_s += seconds
        tokens, ended = dict[int, int](), dict[int, FinishReason]()
        for sequence_id, (token_id, reason) in chosen.items():
            tokens[sequence_id] = token_id
            if reason is not None:
                ended[sequence_id] = reason
        self._parts.scheduler.complete(chunks, tokens, ended)
        for sequence_id in tokens:
            request = self._requests[sequence_id]
            if request.first_token_at_s is None:
                request.first_token_at_s = time.perf_counter()
            request.deliver()  # after all choices: whoever waits for text would interrupt them
            if sequence_id in ended:
                self._end(request, ended[sequence_id])

    def _pieces(self, chunks: Sequence[Chunk]) -> list[StepInput]:
        """Return the inputs of a step; the embeddings of generated tokens are read together."""
        table = self._parts.embeddings
        block_tokens = self._parts.scheduler.pool.block_tokens
        requests = self._requests
        tokens, lone = list[int | None](), list[int]()
        for chunk in chunks:
            token = requests[chunk.sequence.id].lone_token(chunk.begin, chunk.end)
            tokens.append(token)
            if token is not None:
                lone.append(token)
        rows = iter(table.rows(np.array(lone, np.int64))[:, None] if lone else ())
        pieces: list[StepInput] = []
        for token, chunk in zip(tokens, chunks, strict=True):
            sequence, begin, end = chunk.sequence, chunk.begin, chunk.end
            embeddings_TD = (
                requests[sequence.id].embeddings(begin, end, table) if token is None else next(rows)
            )
            table_of_piece = sequence.block_table[: -(-end // block_tokens)]
            pieces.append(
                StepInput(embeddings_TD, begin, table_of_piece, chunk.samples, sequence.prefix_tokens)
            )
        return pieces

    def _choose(
        self, chunks: Sequence[Chunk], output: StepOutput
    ) -> Mapping[int, tuple[int, FinishReason | None]]:
        """Choose each sequence's next token and whether it is the last; fail those that cannot continue."""
        chosen: dict[int, tuple[int, FinishReason | None]] = {}
        logits_RV = iter(output.logits_RV)
        hidden_RD = iter(() if output.hidden_RD is None else output.hidden_RD)
        for chunk in chunks:
            if not chunk.samples:
                continue
            request = self._requests[chunk.sequence.id]
            logits_V, hidden_D = next(logits_RV), next(hidden_RD, None)
            try:
                choice = request.choose(logits_V, hidden_D)
            except SmallsightError as error:
                self._parts.scheduler.cancel(chunk.sequence.id)
                self._end(request, error)
                continue
            chosen[chunk.sequence.id] = choice.token_id, self._reason_to_end(request, choice.token_id)
        return chosen

    def _reason_to_end(self, request: ActiveRequest, token_id: int) -> FinishReason | None:
        num_tokens = len(request.prompt.token_ids) + len(request.choices)
        is_full = num_tokens >= self._parts.context_tokens
        if request.scorer is not None:
            return "stop" if request.scorer.is_done else None
        if request.places is not None:
            is_full = is_full or request.places.is_full
            return "stop" if request.places.has_ended else "length" if is_full else None
        is_end = token_id in self._parts.tokens.stop_token_ids
        if is_end and not request.ignores_end:
            return "stop"
        wants_tokens = request.sequence.options.num_logprobs is not None
        request.undelivered = request.stream.push(token_id), request.choices[-1] if wants_tokens else None
        if request.stream.is_stopped:
            return "stop"
        limit = request.sequence.options.max_tokens
        return "length" if is_full or (limit is not None and len(request.choices) >= limit) else None

    def _end(self, request: ActiveRequest, how: FinishReason | SmallsightError) -> None:
        del self._requests[request.sequence.id]
        if isinstance(how, SmallsightError):
            request.generation.fail(how)
            return
        request.generation.add(request.stream.finish())
        request.generation.finish(request.outcome(how))

    def _fail_all(self, error: SmallsightError) -> None:
        for request in list(self._requests.values()):
            self._parts.scheduler.cancel(request.sequence.id)
            self._end(request, error)


def _is_plain(options: SamplingOptions) -> bool:
    """Return whether an answer is text alone, with no schema to keep to and no tokens beside it."""
    return options.json_schema is None and options.num_logprobs is None
