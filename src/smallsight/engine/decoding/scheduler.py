"""What the decoder computes next. Plain policy: no tensors, no clock, no input or output.

Every sequence that is generating gets its next token in each step; what room is left goes to prompts. Clients
take turns, and of one client who came first is served first. Prompts are cut at the same places whatever
else is going on, a prefix whose tokens see one another is never cut, and tokens that were generated are
computed one at a time even when they must be computed again: so an answer does not depend on its company.
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
    """Tokens [begin, end) of a sequence to compute now; ``samples`` when a token is chosen from the last."""

    sequence: TokenSequence
    begin: int
    end: int
    samples: bool


class Scheduler:
    """Shares steps and blocks among sequences. ``chunk_tokens`` is a multiple of the pool's block."""

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
        self.failed: list[TokenSequence] = []  # cannot fit even alone; they are finished
        self.copies: list[tuple[int, int]] = []  # (source, target) of blocks to copy, in order, before a step
        self.num_preemptions = 0
        self._places = Turns()  # among the running
        self._prompts = Turns()  # in what room a step has left

    @property
    def is_idle(self) -> bool:
        """Whether there is no sequence at all."""
        return not self._waiting and not self._running

    @property
    def running(self) -> tuple[TokenSequence, ...]:
        """Sequences with blocks, in order of admission."""
        return tuple(self._running)

    @property
    def num_waiting(self) -> int:
        """How many sequences have no blocks yet, or no longer."""
        return len(self._waiting)

    def add(self, sequence: TokenSequence) -> None:
        """Put a new sequence in line."""
        self._waiting.append(sequence)

    def cancel(self, sequence_id: int) -> None:
        """Take a sequence out wherever it is, and its blocks back at once."""
        for sequence in [*self._waiting, *self._running]:
            if sequence.id == sequence_id:
                self._take_out(sequence)

    def take_failed(self) -> list[TokenSequence]:
        """Return the failed sequences, once."""
        failed, self.failed = self.failed, []
        return failed

    def take_copies(self) -> list[tuple[int, int]]:
        """Return the copies to make, once."""
        copies, self.copies = self.copies, []
        return copies

    def next_step(self) -> list[Chunk]:
        """Choose what to compute, with blocks for it; empty when nothing can be."""
        for sequence in [one for one in self._running if one.is_decoding]:
            if sequence.state is SequenceState.RUNNING:  # making room for one may put another back in line
                self._make_room(sequence, sequence.num_tokens)
        chunks = [self._next_chunk(one) for one in self._running if one.is_decoding]
        room = self._max_step_tokens - len(chunks)
        if self._waiting:
            self._admit()
        begun = (
            [] if len(chunks) == len(self._running) else [one for one in self._running if not one.is_decoding]
        )
        for sequence in self._prompts.order(begun, _client_of) if begun else ():
            chunk = self._next_chunk(sequence)
            size = chunk.end - chunk.begin
            if size > room and any(one.end - one.begin > 1 for one in chunks):
                break
            if not self._has_room(sequence, chunk.end):
                break
            chunks.append(chunk)
            room -= size
            self._prompts.serve(sequence.client)
        return chunks or self._push_on()

    def complete(
        self, chunks: Collection[Chunk], chosen: Mapping[int, int], ended: Collection[int] = ()
    ) -> None:
        """Record that the chunks were computed, which tokens were chosen, and which sequences are over."""
        for chunk in chunks:
            sequence = chunk.sequence
            if sequence.state is not SequenceState.RUNNING:
                continue
            sequence.num_computed_tokens = chunk.end
            self._publish(sequence)
            if sequence.id in chosen:
                sequence.output_token_ids.append(chosen[sequence.id])
                sequence.identities.append(chosen[sequence.id])
            if sequence.id in ended:
                self._take_out(sequence)

    def _begun_prompts(self) -> list[TokenSequence]:
        return [one for one in self._running if not one.is_decoding]

    def _push_on(self) -> list[Chunk]:
        """Go on with the oldest prompt when nothing else would move, pushing others out for it."""
        for sequence in self._begun_prompts():
            chunk = self._next_chunk(sequence)
            return [chunk] if self._make_room(sequence, chunk.end) else []
        return []

    def _admit(self) -> None:
        """Move sequences from the line to the running, in turn; one not ready lets others pass."""
        ready = [one for one in self._waiting if one.is_ready]
        for sequence in self._places.order(ready, _client_of) if ready else ():
            if len(self._running) >= self._max_sequences:
                return
            if self._blocks_for(sequence.num_tokens) > self.pool.num_blocks:
                self._waiting.remove(sequence)
                sequence.state = SequenceState.FINISHED
                self.failed.append(sequence)
                continue
            if self._running and self._blocks_for(sequence.num_tokens + 1) > self.pool.num_free:
                return
            self._use_known_beginning(sequence)
            self._waiting.remove(sequence)
            self._running.append(sequence)
            self._places.serve(sequence.client)
            sequence.state = SequenceState.RUNNING

    def _use_known_beginning(self, sequence: TokenSequence) -> None:
        """Share what others computed: up to a place where the prompt is cut, and never its last token."""
        if sequence.prefix_tokens:
            self._use_known_prefix(sequence)
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

    def _use_known_prefix(self, sequence: TokenSequence) -> None:
        """Share all of a prefix that another computed, or nothing; a block it fills in part is copied."""
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
        """Name the part of a block that the end of a prefix fills."""
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
            places = (prefix + (num_whole + 1) * self.chunk_tokens, sequence.num_prompt_tokens)
            end = min((*places, *(cut for cut in sequence.cuts if cut > begin)))
        return Chunk(sequence, begin, end, samples=end == sequence.num_tokens)

    def _has_room(self, sequence: TokenSequence, num_tokens: int) -> bool:
        """Give a sequence the blocks for so many tokens, if there are enough."""
        missing = -(-num_tokens // self.pool.block_tokens) - len(sequence.block_table)
        if missing <= 0:
            return True
        blocks = self.pool.allocate(missing)
        if blocks is None:
            return False
        sequence.block_table.extend(blocks)
        return True

    def _make_room(self, sequence: TokenSequence, num_tokens: int) -> bool:
        """Give a sequence its blocks, putting the youngest others back in line until there are enough."""
        while not self._has_room(sequence, num_tokens):
            youngest = self._running[-1]
            if youngest is sequence and len(self._running) == 1:
                self._take_out(sequence)
                self.failed.append(sequence)
                return False
            self._put_back(youngest)
            if youngest is sequence:
                return False
        return True

    def _put_back(self, sequence: TokenSequence) -> None:
        self.num_preemptions += 1
        self._running.remove(sequence)
        self._give_up_blocks(sequence)
        sequence.state = SequenceState.WAITING
        self._waiting.appendleft(sequence)

    def _take_out(self, sequence: TokenSequence) -> None:
        if sequence in self._running:
            self._running.remove(sequence)
        else:
            self._waiting.remove(sequence)
        self._give_up_blocks(sequence)
        sequence.state = SequenceState.FINISHED

    def _give_up_blocks(self, sequence: TokenSequence) -> None:
        self.pool.release(sequence.block_table)
        sequence.block_table = []
        sequence.block_keys = []
        sequence.num_computed_tokens = 0

    def _publish(self, sequence: TokenSequence) -> None:
        """Make known the full blocks of the prompt, or its prefix, which is what others can share.

        Generated tokens are computed in another way.
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
