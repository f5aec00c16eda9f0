"""One request's tokens, as the scheduler uses them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from smallsight.engine.sampling_options import SamplingOptions


class SequenceState(Enum):
    """A sequence's state in the scheduler."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(eq=False, slots=True)
class TokenSequence:
    """One request's tokens, and how many of them are in which blocks of the KV cache.

    ``identities`` has one number per token of prompt and output; equal prefixes may share blocks. A sequence
    that is not ready lacks image features and cannot be computed yet. The first ``prefix_tokens`` of the
    prompt, always fewer than all, attend to one another and are computed in one piece. The prompt is also
    cut at the block boundaries in ``cuts``, so that others can share everything up to there. Requests of
    different ``client`` values take turns.
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
        """Tokens of the prompt and of the output so far."""
        return len(self.prompt_token_ids) + len(self.output_token_ids)

    @property
    def is_decoding(self) -> bool:
        """Whether only the newest token remains to be computed, and it is an output token."""
        num_chosen = len(self.output_token_ids)
        return num_chosen > 0 and self.num_computed_tokens == len(self.prompt_token_ids) + num_chosen - 1
