"""The protocols through which decoding uses a runtime: paged decoder, tile encoder and encoder-decoder.

Callers group pieces by the runner's row bands; a runner computes its arguments as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from smallsight.families.messages import Tile
from smallsight.policy.row_bands import RowBands


@dataclass(frozen=True, eq=False)
class StepInput:
    """Tokens [begin, end) of one sequence to compute now, with the blocks that hold it up to ``end``.

    ``embeddings_TD`` is float32 [tokens, hidden]. The sequence's first ``prefix_tokens`` attend to one
    another in both directions and are computed in one piece.
    """

    embeddings_TD: NDArray[np.float32]
    begin: int
    block_table: Sequence[int]
    wants_logits: bool
    prefix_tokens: int = 0

    @property
    def end(self) -> int:
        """The position after the last token."""
        return self.begin + len(self.embeddings_TD)


@dataclass(frozen=True, eq=False)
class StepOutput:
    """Results for the last token of each piece that wants logits, in order; valid until the next call.

    ``logits_RV`` is float32 [pieces, vocabulary]; ``hidden_RD`` is float32 [pieces, hidden], the input of
    the head, or None from networks that do not return it.
    """

    logits_RV: NDArray[np.float32]
    hidden_RD: NDArray[np.float32] | None = None


class Runner(Protocol):
    """A paged decoder with its KV cache. Used by one thread at a time."""

    @property
    def num_blocks(self) -> int:
        """Blocks that may be allocated; the block with this index is scratch space that is never read."""
        ...

    @property
    def row_bands(self) -> RowBands:
        """The numbers of rows at which this network's results change bitwise."""
        ...

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:
        """Compute the pieces in one call; raises RuntimeError when the runtime fails.

        The head computes the last wanted row ``extra_logit_rows`` more times; those results come last.
        """
        ...

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        ...


class TileEncoder(Protocol):
    """Encodes tiles to image tokens and caches them. Used by one thread at a time."""

    @property
    def tiles_at_once(self) -> int:
        """How many tiles one call of ``encode`` may have."""
        ...

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return the image tokens of a tile encoded before, float32 [tokens, hidden], or None."""
        ...

    def encode(self, tiles: Sequence[Tile]) -> Sequence[NDArray[np.float32]] | None:
        """Return the image tokens of each tile; None if a part of them is still to be computed, by calls."""
        ...


class TokenSearch(Protocol):
    """Chooses the tokens of one prompt's answer from rows of logits, one row for each beam."""

    @property
    def next_tokens(self) -> tuple[int, ...]:
        """The last token of each beam; the number of beams never changes."""
        ...

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer without the start token."""
        ...

    @property
    def is_done(self) -> bool:
        """Whether the answer is complete."""
        ...

    def advance(self, logits_KV: NDArray[np.float32]) -> tuple[int, ...]:
        """Extend the beams by their logits, float32 [beams, vocabulary]; return each new beam's parent."""
        ...


Encoded = TypeVar("Encoded")


class EncoderDecoder(Protocol[Encoded]):
    """Runs an encoder-decoder with beam search. Used by one thread at a time."""

    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> Encoded:
        """Encode one prompt; ``features_TD``, float32 [image tokens, hidden], replace its image tokens."""
        ...

    def batch_key(self, num_tokens: int) -> int:
        """Return a key from a prompt's number of tokens; the prompts of a batch must have the same."""
        ...

    def most_at_once(self, num_beams: int) -> int:
        """Return how many prompts with ``num_beams`` beams each a batch may hold."""
        ...

    def search(
        self,
        prompts: Sequence[Encoded],
        searches: Sequence[TokenSearch],
        on_step: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Run until every search is done. Prompts share one batch key, searches one number of beams.

        ``on_step`` is called after each step and returns which searches to abandon.
        """
        ...
