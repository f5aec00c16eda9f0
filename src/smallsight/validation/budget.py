"""How much memory the weights of a variant may take, as people write it: 400MB, 1.5 GiB, 40%."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smallsight.errors import SettingsError

__all__ = ["Budget", "parse_budget"]

_AMOUNT = re.compile(r"([0-9]+(?:[.][0-9]+)?)\s*([a-z%]*)", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True)
class Budget:
    """An amount of bytes, or a share of the base's weights."""

    num_bytes: int | None = None
    share: float | None = None

    def bytes_of(self, base_bytes: int) -> int:
        """Return the bytes, given those of the base."""
        if self.num_bytes is not None:
            return self.num_bytes
        return base_bytes if self.share is None else int(self.share * base_bytes)


def parse_budget(text: str) -> Budget:
    """Return the budget that a text says; raises SettingsError."""
    found = _AMOUNT.fullmatch(text.strip())
    amount, unit = (float(found[1]), found[2].lower()) if found is not None else (0.0, "")
    if amount > 0 and unit == "%":
        return Budget(share=amount / 100)
    if amount > 0 and unit in _UNITS:
        return Budget(num_bytes=int(amount * _UNITS[unit]))
    raise SettingsError(f"{text!r} is not a budget for memory.", hint="write 400MB, 1.5GiB or 40%.")
