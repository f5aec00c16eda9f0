"""Decides which rows may share a matrix product so that no result depends on the batch.

A runtime picks its kernel by the number of rows, and kernels sum in different orders. The row counts between
two changes of kernel are a band: within one, a row's result depends on that row alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

USUAL_ROWS = 16  # sequences that decode together; one band must hold at least this many


@dataclass(frozen=True, slots=True)
class SharedCall:
    """Pieces computed together, by their index in the input, and the number of padding rows to add."""

    pieces: tuple[int, ...]
    num_padding_rows: int


@dataclass(frozen=True, slots=True)
class RowBands:
    """The row counts at which the runtime changes its kernel, ascending; the first is 1.

    ``fewest_rows`` is the minimum rows of any call: the start of the band that contains ``USUAL_ROWS``.
    """

    starts: tuple[int, ...] = (1,)
    fewest_rows: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not self.starts or self.starts[0] != 1 or list(self.starts) != sorted({*self.starts}):
            message = f"row bands must start at 1 and ascend, got {self.starts}"
            raise ValueError(message)
        fewest_rows = self.starts[bisect_right(self.starts, USUAL_ROWS) - 1]
        object.__setattr__(self, "fewest_rows", fewest_rows)

    def around(self, num_rows: int) -> tuple[int, int | None]:
        """Return the band [begin, end) in which a piece of ``num_rows`` is computed; None means no end."""
        index = bisect_right(self.starts, max(num_rows, self.fewest_rows))
        return self.starts[index - 1], self.starts[index] if index < len(self.starts) else None

    def joined(self, other: RowBands) -> RowBands:
        """Return the bands that hold for the products of both."""
        return RowBands(tuple(sorted({*self.starts, *other.starts})))

    def plan(self, sizes: Sequence[int]) -> list[SharedCall]:
        """Distribute pieces with these numbers of rows so that each call is in the band of all its pieces.

        Every size is 1 or more. Pieces keep their order within a call.
        """
        if sizes and len(self.starts) == 1:
            return [SharedCall(tuple(range(len(sizes))), 0)]
        if len(sizes) == 1:
            begin, _ = self.around(sizes[0])
            return [SharedCall((0,), max(0, begin - sizes[0]))]
        by_band: defaultdict[tuple[int, int | None], list[int]] = defaultdict(list)
        for index, size in enumerate(sizes):
            by_band[self.around(size)].append(index)
        calls: list[SharedCall] = []
        for (begin, end), indices in sorted(by_band.items(), key=lambda item: item[1][0]):
            for group in _within(indices, sizes, end):
                missing = begin - sum(sizes[index] for index in group)
                calls.append(SharedCall(tuple(group), max(0, missing)))
        return calls


def _within(indices: Sequence[int], sizes: Sequence[int], end: int | None) -> list[list[int]]:
    """Split the pieces into groups of fewer than ``end`` rows each."""
    groups: list[list[int]] = []
    num_rows = 0
    for index in indices:
        if not groups or (end is not None and num_rows + sizes[index] >= end):
            groups.append([])
            num_rows = 0
        groups[-1].append(index)
        num_rows += sizes[index]
    return groups
