"""The cost of an answer: tokens as OpenAI counts them, and seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from smallsight.model.answer import Answer
from smallsight.services.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens of one prompt and all its choices, and the seconds that they took."""

    prompt_tokens: int
    image_tokens: int
    cached_tokens: int
    completion_tokens: int
    processing_time_s: float
    inference_time_s: float

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def seconds(self) -> dict[str, float]:
        """Return the total time and the model's time, by their keys in answers."""
        return {
            "processing_time": round(self.processing_time_s, 6),
            "inference_time": round(self.inference_time_s, 6),
        }


class AnswerMetrics(Protocol):
    """Counts answers that models computed; answers from the result cache are not counted."""

    def count_answer(self, model: str, cost: Cost) -> None:
        """Count the cost of one question."""
        ...


def cost_of(exchange: Exchange, answers: Sequence[Answer]) -> Cost:
    """Add up the cost of all choices; the prompt is counted once."""
    usage = answers[0].usage
    return Cost(
        prompt_tokens=usage.prompt_tokens,
        image_tokens=usage.image_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=sum(answer.usage.completion_tokens for answer in answers),
        processing_time_s=time.perf_counter() - exchange.began_s,
        inference_time_s=max(answer.timings.total_s - answer.timings.decode_picture_s for answer in answers),
    )
