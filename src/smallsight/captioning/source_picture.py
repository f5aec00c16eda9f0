"""One picture of a data set, and what every kind of source can do."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from smallsight.errors import SmallsightError

__all__ = ["DataSource", "SourcePicture", "WantsKey", "shown_name"]

WantsKey: TypeAlias = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """A picture's bytes, or why there are none.

    ``source`` and ``key`` say which one it is; ``name`` is that of its file, as its source has it. All three
    are valid text.
    """

    source: str
    key: str
    name: str
    data: bytes | SmallsightError


class DataSource(Protocol):
    """A folder, tar file or table of pictures."""

    @property
    def name(self) -> str:
        """What its pictures have as ``source``; the same on every machine that has a copy."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes of its file, to compare how much there is in several; 0 for a folder."""
        ...

    @property
    def fraction_read(self) -> float:
        """How much of it the running ``pictures`` has passed, from 0 to 1."""
        ...

    def count(self, wants: WantsKey) -> int | None:
        """Return the number of pictures with a wanted key, or None if only reading it all would tell."""
        ...

    def pictures(self, wants: WantsKey) -> Generator[SourcePicture, None, None]:
        """Yield its pictures in an order that is always the same; what is unwanted is not read.

        Something that cannot be read is a picture with an error. Only one picture is in memory.
        """
        ...


def shown_name(name: str) -> str:
    r"""Return a name as valid text; bytes that are not UTF-8 become ``\xff``."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
