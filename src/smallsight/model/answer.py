"""The values that models return: an answer, what it cost, and what a loaded model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.engine.decoding.feature_cache import TileCounts
from smallsight.engine.generation import FinishReason, TokenLogprob

__all__ = ["Answer", "FinishReason", "MemoryReport", "TileCounts", "Timings", "TokenLogprob", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """How many tokens went in and came out.

    ``image_tokens`` and ``cached_tokens`` are parts of ``prompt_tokens``; cached ones were not computed anew.
    """

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds of wall-clock time by phase; 0 for a phase that did not happen.

    ``first_token_s`` and ``total_s`` count from the request, the others are the phase alone.
    """

    decode_picture_s: float = 0.0
    vision_s: float = 0.0
    prefill_s: float = 0.0
    first_token_s: float = 0.0
    decode_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said about one or more pictures.

    ``token_ids`` are the generated ones, an end token included. ``finish_reason`` is "stop" at an end token
    or a stop string, "length" at ``max_tokens`` or a full context. ``data`` holds boxes and labels where a
    task has them; of places that a head read (``detect``, ``point``) ``token_ids`` are the codes of their
    numbers. ``logprobs`` goes with ``token_ids`` one by one, or is None when not asked for.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    model: str
    data: Mapping[str, Any] | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What a loaded model takes: its weights as stored, and the whole process's resident memory."""

    weights_bytes: int
    resident_bytes: int
