"""The rule that divides a data set among machines: each picture belongs to one shard, by its key."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from smallsight.errors import SettingsError

__all__ = ["Shard"]

_SPELLING = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard ``number`` of ``count``, from 1; which pictures it has depends on nothing but their keys."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that a text such as ``3/8`` names; raises SettingsError."""
        found = _SPELLING.fullmatch(text)
        if found is None or int(found[1]) > int(found[2]):
            raise SettingsError(
                f"--shard cannot be {text!r}.", hint="write its number and how many there are: 3/8."
            )
        return cls(int(found[1]), int(found[2]))

    def has(self, source: str, key: str) -> bool:
        """Return whether a picture belongs to this shard."""
        if self.count == 1:
            return True
        named = f"{source}\0{key}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(named, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1
