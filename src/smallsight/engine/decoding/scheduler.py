"""Decides what the decoder computes next. Pure policy: no tensors, no clock, no I/O.

Every decoding sequence gets its next token in each step; the rest of the step goes to prompts. Clients take
turns, and each client's requests are served in order of arrival. So that an answer does not depend on the
batch, prompts are always cut at the same positions, a prefix with bidirectional attention is never cut, and
generated tokens are computed one at a time, even after a preemption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from smallsight.engine.decoding.block_pool import NO_KEY, BlockPool, chain_key
from smallsight.engine.decoding.token_sequence import SequenceState, TokenSequence
from smallsight.policy.turns import Turns


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens [begin, end) of a sequence to compute now; ``samples`` if the last one yields the next token."""

    sequence: TokenSequence
    begin: int
    end: int
    samples: bool


class Scheduler:
    """Shares steps and blocks among sequences. ``chunk_tokens`` is a multiple of ``pool.block_tokens``."""

    def __init__(
        self,
        pool: BlockPool,
        *,
        max_sequences: int = 16,
        chunk_tokens: int = 256,
        max_step_tokens: int = 512,
        context_tokens: int = 8192,
    ) -> None:
        self.pool = pool
        self.context_tokens = context_tokens
        self.chunk_tokens = chunk_tokens
        self._max_sequences = max_sequences
        self._max_step_tokens = max_step_tokens
        self._waiting: deque[TokenSequence] = deque()
        self._running: list[TokenSequence] = []
        self.failed: list[TokenSequence] = []  # do not fit even alone; they are finished
        self.copies: list[tuple[int, int]] = []  # (source, target) blocks, to copy in order before a step
        self.num_preemptions = 0
        self._admissions = Turns()
        self._prompts = Turns()  # for the part of a step that decoding leaves free

    @property
    def is_idle(self) -> bool:
        """Whether no sequence is waiting or running."""
        return not self._waiting and not self._running

    @property
    def running(self) -> tuple[TokenSequence, ...]:
        """Sequences with blocks, in order of admission."""
        return tuple(self._running)

    @property
    def num_waiting(self) -> int:
        """Sequences without blocks: not admitted yet, or preempted."""
        return len(self._waiting)

    def add(self, sequence: TokenSequence) -> None:
        """Add a new sequence to the queue."""
        self._waiting.append(sequence)

    def cancel(self, sequence_id: int) -> None:
        """Remove a sequence, waiting or running, and release its blocks immediately."""
        for sequence in [*self._waiting, *self._running]:
            if sequence.id == sequence_id:
                self._remove(sequence)

    def take_failed(self) -> list[TokenSequence]:
        """Return the failed sequences, once."""
        failed, self.failed = self.failed, []
        return failed

    def take_copies(self) -> list[tuple[int, int]]:
        """Return the copies to make, once."""
        copies, self.copies = self.copies, []
        return copies

    def next_step(self) -> list[Chunk]:
        """Choose what to compute and allocate its blocks; empty when nothing can run."""
        chunks: list[Chunk] = []
        for sequence in tuple(self._running):  # allocating for one may preempt others, which come after it
            begin = sequence.num_computed_tokens
            if (
                sequence.is_decoding
                and sequence.state is SequenceState.RUNNING
                and self._allocate_or_preempt(sequence, begin + 1)
            ):
                chunks.append(Chunk(sequence, begin, begin + 1, samples=True))
        room = self._max_step_tokens - len(chunks)
        if self._waiting:
            self._admit()
        prompts = (
            [] if len(chunks) == len(self._running) else [one for one in self._running if not one.is_decoding]
        )
        for sequence in self._prompts.order(prompts, _client_of) if prompts else ():
            chunk = self._next_chunk(sequence)
            size = chunk.end - chunk.begin
            if size > room and any(one.end - one.begin > 1 for one in chunks):
                break
            if not self._try_allocate(sequence, chunk.end):
                break
            chunks.append(chunk)
            room -= size
            self._prompts.serve(sequence.client)
        return chunks or self._force_oldest_prompt()

    def complete(
        self, chunks: Collection[Chunk], chosen: Mapping[int, int], ended: Collection[int] = ()
    ) -> None:
        """Record the computed chunks, the tokens chosen and the sequences that ended, both by sequence id."""
        for chunk in chunks:
            sequence = chunk.sequence
            if sequence.state is not SequenceState.RUNNING:
                continue
            sequence.num_computed_tokens = chunk.end
            if chunk.begin < sequence.num_prompt_tokens:
                self._publish(sequence)
            if sequence.id in chosen:
                sequence.output_token_ids.append(chosen[sequence.id])
                sequence.identities.append(chosen[sequence.id])
            if sequence.id in ended:
                self._remove(sequence)

    def _running_prompts(self) -> list[TokenSequence]:
        return [one for one in self._running if not one.is_decoding]

    def _force_oldest_prompt(self) -> list[Chunk]:
        """Continue the oldest prompt when nothing else can run, preempting others for it."""
        for sequence in self._running_prompts():
            chunk = self._next_chunk(sequence)
            return [chunk] if self._allocate_or_preempt(sequence, chunk.end) else []
        return []

    def _admit(self) -> None:
        """Admit waiting sequences in turn, skipping those that are not ready."""
        ready = [one for one in self._waiting if one.is_ready]
        for sequence in self._admissions.order(ready, _client_of) if ready else ():
            if len(self._running) >= self._max_sequences:
                return
            if self._blocks_for(sequence.num_tokens) > self.pool.num_blocks:
                self._waiting.remove(sequence)
                sequence.state = SequenceState.FINISHED
                self.failed.append(sequence)
                continue
            if self._running and self._blocks_for(sequence.num_tokens + 1) > self.pool.num_free:
                return
            self._reuse_cached_prompt(sequence)
            self._waiting.remove(sequence)
            self._running.append(sequence)
            self._admissions.serve(sequence.client)
            sequence.state = SequenceState.RUNNING

    def _reuse_cached_prompt(self, sequence: TokenSequence) -> None:
        """Share cached blocks up to a position where the prompt is cut, but never its last token."""
        if sequence.prefix_tokens:
            self._reuse_cached_prefix(sequence)
            return
        blocks = self.pool.find_prefix(sequence.identities, sequence.num_prompt_tokens - 1)
        num_known = len(blocks) * self.pool.block_tokens
        last_whole = num_known // self.chunk_tokens * self.chunk_tokens
        num_whole = max((last_whole, *(cut for cut in sequence.cuts if cut <= num_known)))
        num_kept = num_whole // self.pool.block_tokens
        self.pool.release(blocks[num_kept:])
        sequence.block_table = blocks[:num_kept]
        sequence.block_keys = []
        self._extend_keys(sequence, num_kept)
        sequence.num_computed_tokens = num_whole
        sequence.num_cached_tokens = num_whole

    def _reuse_cached_prefix(self, sequence: TokenSequence) -> None:
        """Share a cached prefix as a whole or not at all; a block it fills only partly is copied."""
        num_full, num_left = divmod(sequence.prefix_tokens, self.pool.block_tokens)
        blocks = self.pool.find_prefix(sequence.identities, sequence.prefix_tokens)
        is_known = len(blocks) == num_full
        if is_known and num_left:
            tail = self.pool.share(self._tail_key(sequence))
            own = None if tail is None else self.pool.allocate(1)
            if tail is not None:
                self.pool.release([tail])
            if tail is not None and own is not None:
                self.copies.append((tail, own[0]))
                blocks += own
            is_known = own is not None
        if not is_known:
            self.pool.release(blocks)
            sequence.block_keys = []
            return
        self._extend_keys(sequence, num_full)
        sequence.block_table = blocks
        sequence.num_computed_tokens = sequence.num_cached_tokens = sequence.prefix_tokens

    def _tail_key(self, sequence: TokenSequence) -> bytes:
        """Return the key of the partly filled block at the end of a prefix."""
        num_full = sequence.prefix_tokens // self.pool.block_tokens
        self._extend_keys(sequence, num_full)
        before = sequence.block_keys[num_full - 1] if num_full else NO_KEY
        begin = num_full * self.pool.block_tokens
        return chain_key(before, sequence.identities[begin : sequence.prefix_tokens])

    def _next_chunk(self, sequence: TokenSequence) -> Chunk:
        begin, prefix = sequence.num_computed_tokens, sequence.prefix_tokens
        if begin >= sequence.num_prompt_tokens:
            end = begin + 1
        elif begin < prefix:
            end = prefix
        else:
            num_whole = (begin - prefix) // self.chunk_tokens
            ends = (prefix + (num_whole + 1) * self.chunk_tokens, sequence.num_prompt_tokens)
            end = min((*ends, *(cut for cut in sequence.cuts if cut > begin)))
        return Chunk(sequence, begin, end, samples=end == sequence.num_tokens)

    def _try_allocate(self, sequence: TokenSequence, num_tokens: int) -> bool:
        """Allocate a sequence's missing blocks for ``num_tokens`` tokens; False when there are too few."""
        missing = -(-num_tokens // self.pool.block_tokens) - len(sequence.block_table)
        if missing <= 0:
            return True
        blocks = self.pool.allocate(missing)
        if blocks is None:
            return False
        sequence.block_table.extend(blocks)
        return True

    def _allocate_or_preempt(self, sequence: TokenSequence, num_tokens: int) -> bool:
        """Allocate a sequence's missing blocks, preempting the youngest sequences until there are enough."""
        while not self._try_allocate(sequence, num_tokens):
            youngest = self._running[-1]
            if youngest is sequence and len(self._running) == 1:
                self._remove(sequence)
                self.failed.append(sequence)
                return False
            self._preempt(youngest)
            if youngest is sequence:
                return False
        return True

    def _preempt(self, sequence: TokenSequence) -> None:
        self.num_preemptions += 1
        self._running.remove(sequence)
        self._release_blocks(sequence)
        sequence.state = SequenceState.WAITING
        self._waiting.appendleft(sequence)

    def _remove(self, sequence: TokenSequence) -> None:
        if sequence in self._running:
            self._running.remove(sequence)
        else:
            self._waiting.remove(sequence)
        self._release_blocks(sequence)
        sequence.state = SequenceState.FINISHED

    def _release_blocks(self, sequence: TokenSequence) -> None:
        self.pool.release(sequence.block_table)
        sequence.block_table = []
        sequence.block_keys = []
        sequence.num_computed_tokens = 0

    def _publish(self, sequence: TokenSequence) -> None:
        """Publish the full blocks of the prompt, or its prefix, for other sequences to share.

        Generated tokens are not shared: they are computed one at a time, prompts in chunks.
        """
        prefix = sequence.prefix_tokens
        shared = prefix or sequence.num_prompt_tokens
        num_full = min(sequence.num_computed_tokens, shared) // self.pool.block_tokens
        num_known = len(sequence.block_keys)
        if num_full > num_known:
            self._extend_keys(sequence, num_full)
        for index in range(num_known, num_full):
            self.pool.publish(sequence.block_table[index], sequence.block_keys[index])
        if prefix and sequence.num_computed_tokens == prefix and prefix % self.pool.block_tokens:
            self.pool.publish(sequence.block_table[num_full], self._tail_key(sequence))

    def _extend_keys(self, sequence: TokenSequence, num_blocks: int) -> None:
        size = self.pool.block_tokens
        for index in range(len(sequence.block_keys), num_blocks):
            previous = sequence.block_keys[-1] if sequence.block_keys else NO_KEY
            own = sequence.identities[index * size : (index + 1) * size]
            sequence.block_keys.append(chain_key(previous, own))

    def _blocks_for(self, num_tokens: int) -> int:
        return -(-num_tokens // self.pool.block_tokens)


def _client_of(sequence: TokenSequence) -> str:
    return sequence.client
