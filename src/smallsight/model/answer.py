"""The values that models return: answers with token counts and timings, and memory use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.engine.decoding.feature_cache import TileCounts
from smallsight.engine.generation import FinishReason, TokenLogprob
from smallsight.families.messages import ToolCall
from smallsight.families.stored_parts import PartWeights

__all__ = [
    "Answer",
    "FinishReason",
    "MemoryReport",
    "PartWeights",
    "TileCounts",
    "Timings",
    "TokenLogprob",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """The numbers of tokens in prompt and answer.

    ``image_tokens`` and ``cached_tokens`` are included in ``prompt_tokens``; cached ones were not computed
    again.
    """

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of wall-clock time by phase; 0 for a phase that did not happen.

    ``first_token_s`` and ``total_s`` are measured from the request, the others are the phase alone.
    """

    decode_picture_s: float = 0.0
    vision_s: float = 0.0
    prefill_s: float = 0.0
    first_token_s: float = 0.0
    decode_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer about pictures.

    ``token_ids`` are the generated ones including an end token; for ``detect`` and ``point`` with a region
    head they encode coordinates. ``finish_reason`` is "stop" at an end token or a stop string, "length" at
    ``max_tokens`` or a full context. ``data`` has boxes and labels for tasks that produce them. ``logprobs``
    has one entry per token id, or is None if not requested. ``stop_string`` ended the text, if it is
    not None. ``tool_calls`` are those of a model that knows tools; ``text`` is without them.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    model: str
    data: Mapping[str, Any] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None
    stop_string: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()

    def __str__(self) -> str:
        """Return the text."""
        return self.text


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Bytes of a loaded model's stored weights, and resident memory of the whole process.

    ``parts`` are the weights by part of the model and form, with the embeddings, which ``weights_bytes``
    leaves out where they stay in the checkpoint's file.
    """

    weights_bytes: int
    resident_bytes: int
    parts: tuple[PartWeights, ...] = ()
