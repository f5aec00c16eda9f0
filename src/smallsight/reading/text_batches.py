"""Plans which texts share a call of the text embedder. Pure policy: no tensors, no clock.

Padding costs as much as tokens, so texts of similar length are batched together. Each new shape permanently
costs the runtime memory, so there are few: about twenty lengths, and powers of two for rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from smallsight.policy.row_bands import RowBands

STEPS = ((32, 4), (64, 8), (128, 16))  # up to this many tokens, round up to a multiple of that
LONGEST_STEP = 32
ONE_BAND = RowBands()


@dataclass(frozen=True)
class TextBatch:
    """Texts that are embedded together, by their index in the input."""

    indices: tuple[int, ...]
    padded_tokens: int


def plan_batches(
    lengths: Sequence[int], *, max_tokens: int, budget_tokens: int, bands: RowBands = ONE_BAND
) -> list[TextBatch]:
    """Divide texts of these lengths (1 to ``max_tokens``) into batches.

    A batch has at most ``budget_tokens`` tokens including padding, unless a single text has more. It stays in
    the row band of each of its texts, so that a vector does not depend on the batch.
    """
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        enough = max(padded_length(length), padded_length(bands.fewest_rows))
        by_length[min(enough, max_tokens)].append(index)
    batches: list[TextBatch] = []
    for padded, indices in sorted(by_length.items()):
        _, end = bands.around(padded)
        room = budget_tokens if end is None else min(budget_tokens, end - 1)
        largest = _power_of_two_within(max(1, room // padded))
        begin = 0
        while begin < len(indices):
            rows = min(largest, _power_of_two_within(len(indices) - begin))
            batches.append(TextBatch(tuple(indices[begin : begin + rows]), padded))
            begin += rows
    return batches


def padded_length(length: int) -> int:
    """Round up to one of the few lengths of batches."""
    step = next((step for limit, step in STEPS if length <= limit), LONGEST_STEP)
    return -(-length // step) * step


def _power_of_two_within(number: int) -> int:
    return 1 << (number.bit_length() - 1)
