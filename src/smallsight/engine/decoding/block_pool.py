"""Which blocks of the cache are whose, and which still hold a known beginning. Numbers only, no tensors.

A full block is known by a chain: the key of the block before it and the identities of its own tokens.
Sequences that begin alike share such blocks. A known block nobody uses stays until its place is needed,
longest unused first.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import OrderedDict
from collections.abc import Iterable, Sequence

NO_KEY = b""


class BlockPool:
    """Hands out, shares and takes back ``num_blocks`` blocks of ``block_tokens`` tokens.

    Before one past the first ``comfortable_blocks`` is handed out, a known one that nobody uses is forgotten:
    memory grows past that for what is under way, and not for what was.
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
        self._empty = list(range(num_blocks))  # a heap, the lowest first: fewer pages are ever touched
        self._idle: OrderedDict[int, None] = OrderedDict()  # known and unused, longest unused first
        self._block_of: dict[bytes, int] = {}
        self._key_of: dict[int, bytes] = {}

    @property
    def num_free(self) -> int:
        """How many blocks could be handed out now, counting those that would be forgotten for it."""
        return len(self._empty) + len(self._idle)

    @property
    def num_used(self) -> int:
        """How many blocks are somebody's."""
        return len(self._users)

    @property
    def num_cached(self) -> int:
        """How many blocks nobody uses, but hold a known beginning."""
        return len(self._idle)

    def allocate(self, count: int) -> list[int] | None:
        """Hand out blocks with nothing in them, or None when there are not enough."""
        if count > self.num_free:
            return None
        blocks = [self._take() for _ in range(count)]
        for block in blocks:
            self._users[block] = 1
        return blocks

    def find_prefix(self, identities: Sequence[int], max_tokens: int) -> list[int]:
        """Share the known blocks of a beginning of at most ``max_tokens`` tokens, whole blocks only."""
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
        """Share the known block of this key, or return None."""
        block = self._block_of.get(key)
        if block is not None:
            self._idle.pop(block, None)
            self._users[block] = self._users.get(block, 0) + 1
        return block

    def publish(self, block: int, key: bytes) -> None:
        """Make a full block findable; when another holds the same, that one stays the known one."""
        if self._remembers and key not in self._block_of and block not in self._key_of:
            self._block_of[key] = block
            self._key_of[block] = key

    def release(self, blocks: Iterable[int]) -> None:
        """Give up a share of each block; later blocks of a sequence are forgotten before earlier ones."""
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
        return self._forget_oldest()

    def _forget_oldest(self) -> int:
        block, _ = self._idle.popitem(last=False)
        del self._block_of[self._key_of.pop(block)]
        return block

    def holders(self) -> dict[int, int]:
        """Return how many sequences use each used block; for checks."""
        return dict(self._users)


def chain_key(previous: bytes, identities: Sequence[int]) -> bytes:
    """Name a block by all that came before it and its own tokens."""
    own = b"".join(identity.to_bytes(8, "little", signed=True) for identity in identities)
    return hashlib.sha256(previous + own).digest()
