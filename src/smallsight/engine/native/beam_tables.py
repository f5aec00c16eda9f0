"""The cache blocks of a search's beams: beams that share a beginning share its blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from smallsight.engine.native.native_cache import BLOCK_TOKENS, NativeCache


class BeamTables:
    """A block table for each beam. Only the blocks of beams that are kept stay in use."""

    def __init__(self, cache: NativeCache, num_beams: int) -> None:
        """Start with empty tables; the cache belongs to this search."""
        self._cache = cache
        self._free = list(range(cache.num_blocks))[::-1]
        self._uses: Counter[int] = Counter()
        self.tables: list[list[int]] = [[] for _ in range(num_beams)]

    def make_room(self, position: int) -> None:
        """Give every beam a block that no other beam writes to at this position."""
        for table in self.tables:
            if position % BLOCK_TOKENS == 0:
                table.append(self._take())
            elif self._uses[table[-1]] > 1:
                own = self._take()
                self._cache.copy_block(table[-1], own)
                self._release([table[-1]])
                table[-1] = own

    def follow(self, parents: Sequence[int]) -> None:
        """Continue these beams, one for each new beam."""
        followed = [list(self.tables[parent]) for parent in parents]
        for table in followed:
            self._uses.update(table)
        for table in self.tables:
            self._release(table)
        self.tables = followed

    def _take(self) -> int:
        block = self._free.pop()
        self._uses[block] = 1
        return block

    def _release(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            self._uses[block] -= 1
            if self._uses[block] == 0:
                self._free.append(block)
