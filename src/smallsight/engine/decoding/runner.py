"""What decoding asks of a runtime: the protocols that OpenVINO, the reference and later engines implement.

Nothing here names a runtime. Row bands say how pieces may be grouped; a runner computes what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from smallsight.engine.decoding.beam_search import BeamSearch
from smallsight.families.messages import Tile
from smallsight.policy.row_bands import RowBands


@dataclass(frozen=True, eq=False)
class StepInput:
    """Tokens [begin, end) of one sequence to compute now, with the blocks that hold it up to ``end``.

    ``embeddings_TD`` float32 [tokens, hidden]. The sequence's first ``prefix_tokens`` see one another; they
    are computed in one piece.
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

    ``logits_RV`` float32 [pieces, vocabulary]. ``hidden_RD`` float32 [pieces, hidden], what the network had
    before its head, or None from networks that do not return it.
    """

    logits_RV: NDArray[np.float32]
    hidden_RD: NDArray[np.float32] | None = None


class Runner(Protocol):
    """A paged decoder with its KV cache. Used by one thread at a time."""

    @property
    def num_blocks(self) -> int:
        """Blocks that may be given out; the block of this number exists too, and nobody reads it."""
        ...

    @property
    def row_bands(self) -> RowBands:
        """At which numbers of rows this network's results change their bits."""
        ...

    def run(self, steps: Sequence[StepInput], *, extra_logit_rows: int = 0) -> StepOutput:
        """Compute the pieces in one call; RuntimeError means that the runtime failed.

        The head computes the last wanted row ``extra_logit_rows`` times more; those results come last.
        """
        ...

    def copy_block(self, source: int, target: int) -> None:
        """Copy what one block holds into another, in every layer."""
        ...


class TileEncoder(Protocol):
    """Turns tiles into image tokens and keeps what it made. Used by one thread at a time."""

    def known(self, tile: Tile) -> NDArray[np.float32] | None:
        """Return the image tokens of a tile encoded before, float32 [tokens, hidden], or None."""
        ...

    def encode(self, tile: Tile) -> NDArray[np.float32] | None:
        """Encode the tile, or the next part of it: None until its image tokens are complete."""
        ...


Encoded = TypeVar("Encoded")


class EncoderDecoder(Protocol[Encoded]):
    """Runs an encoder-decoder whose answers are searched for. Used by one thread at a time."""

    def encode(
        self, token_ids: Sequence[int], image_token_id: int, features_TD: NDArray[np.float32]
    ) -> Encoded:
        """Encode one prompt; ``features_TD`` float32 [image tokens, hidden] replace its image tokens."""
        ...

    def batch_key(self, num_tokens: int) -> int:
        """Return what prompts of one batch must have in common, from the number of a prompt's tokens."""
        ...

    def most_at_once(self, num_beams: int) -> int:
        """Return how many prompts with so many beams one batch may hold."""
        ...

    def search(
        self,
        prompts: Sequence[Encoded],
        searches: Sequence[BeamSearch],
        on_step: Callable[[], Sequence[bool]] | None = None,
    ) -> None:
        """Continue until every search is done. Prompts have one batch key, searches one number of beams.

        ``on_step`` is called after each step and says which of the searches to abandon.
        """
        ...
