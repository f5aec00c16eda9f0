"""Answers to questions that were asked before, word for word and picture for picture.

Owns what is kept and what goes. What makes two questions the same is the caller's matter.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from smallsight.model.answer import Answer, Timings

_OVERHEAD_BYTES = 1024  # of one answer besides its text, generously


class ResultCache:
    """Answers by a digest of their question; the least recently used go when ``max_bytes`` is full.

    Belongs to one event loop. 0 bytes keep nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.num_hits = 0
        self.num_misses = 0
        self._answers: OrderedDict[bytes, tuple[Answer, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: bytes) -> tuple[Answer, ...] | None:
        """Return the answers to this question, which took no time now, or None."""
        answers = self._answers.get(key)
        if answers is None:
            self.num_misses += 1
            return None
        self.num_hits += 1
        self._answers.move_to_end(key)
        return answers

    def remember(self, key: bytes, answers: Sequence[Answer]) -> None:
        """Keep answers that came to their own end; one larger than the whole cache is not kept."""
        if any(answer.finish_reason not in ("stop", "length") for answer in answers):
            return
        kept = tuple(_lean(answer) for answer in answers)
        if _num_bytes(kept) > self.max_bytes or key in self._answers:
            return
        self._answers[key] = kept
        self.num_bytes += _num_bytes(kept)
        while self.num_bytes > self.max_bytes:
            _, oldest = self._answers.popitem(last=False)
            self.num_bytes -= _num_bytes(oldest)


def _lean(answer: Answer) -> Answer:
    """Return what clients are told of an answer."""
    return replace(answer, token_ids=(), timings=Timings(), data=None, logprobs=None)


def _num_bytes(answers: Sequence[Answer]) -> int:
    return sum(_OVERHEAD_BYTES + 4 * len(answer.text) for answer in answers)
