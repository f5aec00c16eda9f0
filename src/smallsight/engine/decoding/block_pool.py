"""Which blocks of the KV cache are in use, and which unused ones hold a cached prefix. No tensors.

A full block's key is a hash of the previous block's key and the identities of its tokens. Sequences with the
same prefix share blocks. An unused block stays cached until it is needed; the least recently used is evicted
first.
"""

from __future__ import annotations

import hashlib
import heapq
import struct
from collections import OrderedDict
from collections.abc import Iterable, Sequence

NO_KEY = b""


class BlockPool:
    """Allocates, shares and releases ``num_blocks`` blocks of ``block_tokens`` tokens.

    Before allocating a block past the first ``comfortable_blocks``, it evicts an unused cached one: memory
    grows past that only for sequences in progress, not for cached ones.
    """

    def __init__(
        self,
        num_blocks: int,
        block_tokens: int = 32,
        *,
        remembers: bool = True,
        comfortable_blocks: int | None = None,
    ) -> None:
        self.num_blocks = num_blocks
        self.block_tokens = block_tokens
        self._comfortable = num_blocks if comfortable_blocks is None else comfortable_blocks
        self._remembers = remembers
        self._users: dict[int, int] = {}
        self._empty = list(range(num_blocks))  # a heap, lowest first, so that fewer pages are touched
        self._idle: OrderedDict[int, None] = OrderedDict()  # cached and unused, least recently used first
        self._block_of: dict[bytes, int] = {}
        self._key_of: dict[int, bytes] = {}

    @property
    def num_free(self) -> int:
        """Blocks that can be allocated, including cached ones that would be evicted."""
        return len(self._empty) + len(self._idle)

    @property
    def num_used(self) -> int:
        """Blocks in use."""
        return len(self._users)

    @property
    def num_cached(self) -> int:
        """Unused blocks that hold a cached prefix."""
        return len(self._idle)

    def allocate(self, count: int) -> list[int] | None:
        """Allocate empty blocks, or return None when there are too few."""
        if count > self.num_free:
            return None
        blocks = [self._take() for _ in range(count)]
        for block in blocks:
            self._users[block] = 1
        return blocks

    def find_prefix(self, identities: Sequence[int], max_tokens: int) -> list[int]:
        """Share the whole cached blocks of the longest prefix of at most ``max_tokens`` tokens."""
        found: list[int] = []
        key = NO_KEY
        for begin in range(0, min(max_tokens, len(identities)) - self.block_tokens + 1, self.block_tokens):
            key = chain_key(key, identities[begin : begin + self.block_tokens])
            block = self.share(key)
            if block is None:
                break
            found.append(block)
        return found

    def share(self, key: bytes) -> int | None:
        """Share the cached block with this key, or return None."""
        block = self._block_of.get(key)
        if block is not None:
            self._idle.pop(block, None)
            self._users[block] = self._users.get(block, 0) + 1
        return block

    def publish(self, block: int, key: bytes) -> None:
        """Make a full block available for sharing, unless another block already has this key."""
        if self._remembers and key not in self._block_of and block not in self._key_of:
            self._block_of[key] = block
            self._key_of[block] = key

    def release(self, blocks: Iterable[int]) -> None:
        """Release one use of each block; later blocks of a sequence are evicted before earlier ones."""
        for block in reversed(list(blocks)):
            self._users[block] -= 1
            if self._users[block]:
                continue
            del self._users[block]
            if block in self._key_of:
                self._idle[block] = None
            else:
                heapq.heappush(self._empty, block)

    def _take(self) -> int:
        is_comfortable = self._empty and self._empty[0] < self._comfortable
        if is_comfortable or not self._idle:
            return heapq.heappop(self._empty)
        return self._evict_oldest()

    def _evict_oldest(self) -> int:
        block, _ = self._idle.popitem(last=False)
        del self._block_of[self._key_of.pop(block)]
        return block

    def holders(self) -> dict[int, int]:
        """Return the number of users of each block in use, for tests."""
        return dict(self._users)


def chain_key(previous: bytes, identities: Sequence[int]) -> bytes:
    """Return a block's key, from the previous block's key and its own tokens' identities."""
    return hashlib.sha256(previous + struct.pack(f"<{len(identities)}q", *identities)).digest()
