"""One request's tokens as the scheduler sees them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from smallsight.engine.sampling_options import SamplingOptions


class SequenceState(Enum):
    """Where a sequence is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(eq=False, slots=True)
class TokenSequence:
    """Tokens, how many of them are in the cache, and where.

    ``identities`` names each token of prompt and output by what it stands for; equal beginnings may share
    blocks. A sequence that is not ready lacks image features and may not be computed yet. The first
    ``prefix_tokens`` of the prompt, fewer than all of it, see one another: they are computed in one piece.
    At the block boundaries in ``cuts`` the prompt is cut besides, so that another may share all until there.
    ``client`` names who asks: clients take turns.
    """

    id: int
    identities: list[int]
    prompt_token_ids: list[int]
    options: SamplingOptions
    is_ready: bool = True
    prefix_tokens: int = 0
    cuts: tuple[int, ...] = ()
    client: str = ""
    block_table: list[int] = field(default_factory=list)
    block_keys: list[bytes] = field(default_factory=list)
    num_computed_tokens: int = 0
    num_cached_tokens: int = 0
    output_token_ids: list[int] = field(default_factory=list)
    state: SequenceState = SequenceState.WAITING
    num_prompt_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_prompt_tokens = len(self.prompt_token_ids)

    @property
    def num_tokens(self) -> int:
        """Tokens given and chosen so far."""
        return len(self.prompt_token_ids) + len(self.output_token_ids)

    @property
    def is_decoding(self) -> bool:
        """Whether only the newest token is still to be computed, and it was chosen, not given."""
        num_chosen = len(self.output_token_ids)
        return num_chosen > 0 and self.num_computed_tokens == len(self.prompt_token_ids) + num_chosen - 1
