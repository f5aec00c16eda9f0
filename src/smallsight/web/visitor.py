"""Who uses the pages now, and what they may do there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smallsight.errors import ForbiddenError
from smallsight.http.api_keys import ApiKey, Scope

__all__ = ["EVERYTHING", "PageRight", "Visitor", "key_generation", "rights_of"]

_DIGEST_CHARS = 16


class PageRight(StrEnum):
    """What a page or form needs. ``LOOK`` is seeing and searching, ``MANAGE`` the library and the server."""

    LOOK = "look"
    ASK = "ask"
    EDIT = "edit"
    MANAGE = "manage"


EVERYTHING = frozenset(PageRight)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A session, "" for everyone where the pages are open; ``name`` is that of a person's key."""

    session: str
    rights: frozenset[PageRight]
    name: str | None = None

    def require(self, right: PageRight) -> None:
        """Raise ForbiddenError without this right."""
        if right not in self.rights:
            raise ForbiddenError(
                "Your key does not allow this.",
                hint="ask whoever runs Smallsight here, or log in with the password.",
            )


def rights_of(key: ApiKey) -> frozenset[PageRight]:
    """Return what a person with this key may do in the pages; nothing without the scope for them."""
    if Scope.PAGES not in key.scopes:
        return frozenset()
    more = {Scope.USE: PageRight.ASK, Scope.EDIT: PageRight.EDIT}
    return frozenset({PageRight.LOOK, *(right for scope, right in more.items() if scope in key.scopes)})


def key_generation(key: ApiKey) -> str:
    """Return what names this key in sessions, which end with it: also if another gets its name."""
    return f"key {key.digest[:_DIGEST_CHARS]}"
