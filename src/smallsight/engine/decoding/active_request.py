"""What the engine holds for one request: sequence, embeddings, sampler, text and times."""

from __future__ import annotations

import hashlib
import itertools
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.answer_scorer import AnswerScorer
from smallsight.engine.decoding.finite_logits import require_finite
from smallsight.engine.decoding.place_detector import PlaceDetector
from smallsight.engine.decoding.sampler import Sampler, TokenChoice
from smallsight.engine.decoding.text_stream import TextStream
from smallsight.engine.decoding.token_sequence import TokenSequence
from smallsight.engine.generation import FinishReason, Generation, Outcome
from smallsight.families.messages import PreparedPrompt, Tile
from smallsight.families.tensor_files import RowTable

LEAST_CUT_TOKENS = 64
_BLANK_TOKENS = 8  # an answer without text ends here at the earliest


@dataclass(eq=False, slots=True)
class ActiveRequest:
    """A request inside the engine; only the engine's thread touches it.

    With ``places`` the decoder produces coordinates instead of tokens, and the result is places, not text.
    With ``scorer`` the tokens are those of a given answer, and the result is their scores. One of the
    ``end_token_ids`` is not chosen before there is text.
    """

    prompt: PreparedPrompt
    sequence: TokenSequence
    sampler: Sampler
    stream: TextStream
    generation: Generation
    ignores_end: bool
    image_rows: NDArray[np.int64]
    pending_tiles: list[Tile]  # the last ones of the prompt
    embeddings_TD: NDArray[np.float32]
    places: PlaceDetector | None = None
    scorer: AnswerScorer | None = None
    end_token_ids: frozenset[int] = frozenset()
    choices: list[TokenChoice] = field(default_factory=list)
    started_s: float = field(default_factory=time.perf_counter)
    vision_s: float = 0.0
    prefill_s: float = 0.0
    first_token_at_s: float | None = None
    undelivered: tuple[str, TokenChoice | None] | None = None  # new text, and its token where it is wanted

    def take_features(self, encoded: Sequence[NDArray[np.float32]]) -> None:
        """Write the next tiles' image tokens, float32 [tokens, hidden], into their rows of the prompt."""
        for features_TD in encoded:
            begin = (len(self.prompt.tiles) - len(self.pending_tiles)) * len(features_TD)
            self.embeddings_TD[self.image_rows[begin : begin + len(features_TD)]] = features_TD
            self.pending_tiles.pop(0)
        self.sequence.is_ready = not self.pending_tiles

    def embeddings(self, begin: int, end: int, table: RowTable) -> NDArray[np.float32]:
        """Return decoder inputs for tokens [begin, end) (prompt and output), float32 [tokens, hidden]."""
        num_prompt = len(self.embeddings_TD)
        if end <= num_prompt:
            return self.embeddings_TD[begin:end]
        first, last = max(begin - num_prompt, 0), end - num_prompt
        if self.places is not None:
            rows = self.places.embeddings(first, last)
        else:
            rows = table.rows(np.array(self.sequence.output_token_ids[first:last], np.int64))
        return rows if begin >= num_prompt else np.concatenate([self.embeddings_TD[begin:], rows])

    def lone_token(self, begin: int, end: int) -> int | None:
        """Return the token id if [begin, end) is one generated token of a text, or None."""
        index = begin - len(self.embeddings_TD)
        if index < 0 or end - begin != 1 or self.places is not None:
            return None
        return self.sequence.output_token_ids[index]

    def deliver(self) -> None:
        """Pass the new text on to the caller."""
        if self.undelivered is not None:
            self.generation.add(*self.undelivered)
            self.undelivered = None

    def choose(self, logits_V: NDArray[np.float32], hidden_D: NDArray[np.float32] | None) -> TokenChoice:
        """Choose the next token from the logits, or the next coordinate from the last hidden state.

        A scored answer has its next token chosen already.

        Raises BrokenCheckpointError for logits that are not finite.
        """
        require_finite(logits_V)
        if self.scorer is not None:
            choice = self.scorer.choose(logits_V)
        elif self.places is None:
            choice = self.sampler.choose(logits_V, self._barred())
        elif hidden_D is None:
            raise TypeError("This network does not return the hidden state that the region head reads.")
        else:
            choice = self.places.choose(logits_V, hidden_D)
        self.choices.append(choice)
        return choice

    def _barred(self) -> frozenset[int]:
        """Return the tokens that may not come next: at its beginning an answer does not end without text.

        A stop string explains an answer without text, but not one without any token; a positive bias on
        an end token explains that too.
        """
        options, num_chosen = self.sequence.options, len(self.choices)
        if self.ignores_end or num_chosen >= _BLANK_TOKENS or (num_chosen and options.stop):
            return frozenset()
        if not self.stream.is_blank:
            return frozenset()
        return self.end_token_ids - {token_id for token_id, bias in options.logit_bias if bias > 0}

    def outcome(self, reason: FinishReason) -> Outcome:
        """Return the text, tokens and timings so far."""
        now_s = time.perf_counter()
        first_s = now_s if self.first_token_at_s is None else self.first_token_at_s
        return Outcome(
            text=self.stream.text if self.places is None else self.places.text(),
            choices=tuple(self.choices),
            finish_reason=reason,
            prompt_tokens=len(self.prompt.token_ids),
            image_tokens=len(self.image_rows),
            cached_tokens=self.sequence.num_cached_tokens,
            vision_s=self.vision_s,
            prefill_s=self.prefill_s,
            first_token_s=first_s - self.started_s,
            decode_s=now_s - first_s,
            total_s=now_s - self.started_s,
            data=None if self.places is None else self.places.data(),
            scores=None if self.scorer is None else self.scorer.scores(),
            stop_string=self.stream.stop_string,
        )


def identities_of(prompt: PreparedPrompt, image_token_id: int, tokens_per_tile: int) -> list[int]:
    """Return each token's identity: a text token's id, a hash of the tile and the offset for an image token.

    Prompts with equal identities have equal keys and values, so one can reuse the other's KV cache.
    """
    identities = list(prompt.token_ids)
    positions = [position for position, token_id in enumerate(identities) if token_id == image_token_id]
    for index, tile in enumerate(prompt.tiles):
        digests = hashlib.shake_128(tile.digest).digest(8 * tokens_per_tile)
        numbers = struct.unpack(f"<{tokens_per_tile}Q", digests)
        first = index * tokens_per_tile
        for position, number in zip(positions[first : first + tokens_per_tile], numbers, strict=False):
            identities[position] = -1 - (number >> 1)
    return identities


def cuts_of(
    image_rows: NDArray[np.int64],
    shown: Sequence[int],
    tokens_per_tile: int,
    chunk_tokens: int,
    block_tokens: int,
) -> tuple[int, ...]:
    """Return where a prompt is cut in addition to the ends of whole chunks: at the end of each picture.

    The next question about a picture can then reuse all of it. A cut depends only on what precedes it; one
    too close to the previous cut is left out, because a small chunk costs more than it saves. ``image_rows``
    [image tokens] are their positions in the prompt, ``shown`` the number of tiles of each picture.
    """
    cuts: list[int] = []
    for num_tiles in itertools.accumulate(shown):
        end = int(image_rows[num_tiles * tokens_per_tile - 1]) + 1
        cut = end // block_tokens * block_tokens
        before = max(cut // chunk_tokens * chunk_tokens, *cuts, 0)
        if cut - before >= LEAST_CUT_TOKENS:
            cuts.append(cut)
    return tuple(cuts)


def embed_prompt(
    prompt: PreparedPrompt, image_token_id: int, table: RowTable
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the prompt's embeddings, float32 [tokens, hidden], and the rows reserved for image tokens."""
    ids = np.array(prompt.token_ids, np.int64)
    is_image = ids == image_token_id
    embeddings_TD = table.rows(np.where(is_image, 0, ids))
    return embeddings_TD, np.flatnonzero(is_image)
