"""A search of the gallery as its address says it: words, filters, order and view.

The filters become filters of the one query language that the command line has too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from smallsight.library.search.text_index import Sort
from smallsight.web.languages import translate as t
from smallsight.web.record_ids import parse_record_id

VIEWS = ("rows", "masonry", "list")
_FIELDS = ("folder", "tag", "described", "text", "kind", "camera", "after", "until", "similar", "like")
_YES_NO = ("yes", "no")
_MAX_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in use, and the address of the same search without it."""

    text: str
    without: str


@dataclass(frozen=True, slots=True)
class GallerySearch:
    """What is shown; every field is as it is in the address, "" if it is not there."""

    prefix: str
    words: str = ""
    folder: str = ""
    tag: str = ""
    described: str = ""
    text: str = ""
    kind: str = ""
    camera: str = ""
    after: str = ""
    until: str = ""
    similar: str = ""  # the id of a content
    like: str = ""  # the SHA-256 of a picture that was dropped on the page
    sort: str = ""
    view: str = VIEWS[0]

    @classmethod
    def from_fields(cls, fields: Mapping[str, str], prefix: str) -> GallerySearch:
        """Read the fields of an address; what is not valid there is left out."""

        def field(name: str) -> str:
            return fields.get(name, "").replace('"', " ").strip()[:_MAX_CHARS]

        return cls(
            prefix,
            words=fields.get("q", "").strip()[:_MAX_CHARS],
            folder=field("folder"),
            tag=field("tag"),
            described=_one_of(field("described"), _YES_NO),
            text=_one_of(field("text"), _YES_NO),
            kind=field("kind") if field("kind").isalpha() else "",
            camera=field("camera"),
            after=_day(field("after")),
            until=_day(field("until")),
            similar=field("similar") if parse_record_id(field("similar")) is not None else "",
            like=field("like") if field("like").isalnum() else "",
            sort=_one_of(field("sort"), tuple(Sort)),
            view=_one_of(field("view"), VIEWS) or VIEWS[0],
        )

    @property
    def query(self) -> str:
        """The search in the query language."""
        parts = [self.words]
        parts += [f'{name}:"{value}"' for name, value in self._quoted() if value]
        parts += {"yes": ["is:described"], "no": ["-is:described"]}.get(self.described, [])
        parts += {"yes": ["has:text"], "no": ["-has:text"]}.get(self.text, [])
        if self.after:
            parts.append(f"after:{self.after}")
        if self.until:
            parts.append(f"before:{date.fromisoformat(self.until) + timedelta(days=1)}")
        return " ".join(part for part in parts if part)

    @property
    def order(self) -> Sort | None:
        """The order that was chosen, None for the natural one."""
        return Sort(self.sort) if self.sort else None

    @property
    def is_search(self) -> bool:
        """Whether anything limits what is shown."""
        return bool(self.query or self.is_by_picture)

    @property
    def is_by_picture(self) -> bool:
        """Whether it looks for what is like a picture."""
        return bool(self.similar or self.like)

    @property
    def num_filters(self) -> int:
        """How many filters are in use."""
        return sum(bool(getattr(self, name)) for name in _FIELDS)

    @property
    def chips(self) -> list[Chip]:
        """The filters in use, for removing them."""
        texts = {
            "folder": self.folder,
            "tag": t("Tag: {name}", name=self.tag),
            "described": t("Described") if self.described == "yes" else t("Not described"),
            "text": t("With text") if self.text == "yes" else t("Without text"),
            "kind": kind_title(self.kind),
            "camera": self.camera,
            "after": t("From {day}", day=self.after),
            "until": t("Until {day}", day=self.until),
            "similar": t("Similar to a picture"),
            "like": t("Like your picture"),
        }
        return [Chip(texts[name], self.without(name)) for name in _FIELDS if getattr(self, name)]

    @property
    def cleared(self) -> str:
        """The address of the same words without filters."""
        return self.without(*_FIELDS)

    def without(self, *names: str) -> str:
        """Return the address of the gallery for this search without these fields."""
        return self._address("/", 0, dict.fromkeys(names, ""))

    def url(self, *, start: int = 0, **changes: str) -> str:
        """Return the address of the gallery for this search with changes, from picture ``start`` on."""
        return self._address("/", start, changes)

    def tiles_url(self, start: int) -> str:
        """Return the address of the tiles from ``start`` on, without the page around them."""
        return self._address("/tiles", start, {})

    @property
    def complete_url(self) -> str:
        """The address of the results with all that a quick search leaves out."""
        return f"{self._address('/results', 0, {})}&complete=yes"

    def picture_url(self, content_id: int, position: int | None = None) -> str:
        """Return the address of the page of a picture that is at a position of this search."""
        return self._address(f"/pictures/{content_id}", 0, {}, at=position)

    def picture_urls(self) -> Callable[[int, int], str]:
        """Return what makes addresses as ``picture_url`` does, for many pictures."""
        _, _, query = self.picture_url(0).partition("?")
        rest = f"{query}&" if query else ""
        return lambda content_id, position: f"{self.prefix}/pictures/{content_id}?{rest}at={position}"

    def kept_fields(self) -> Iterator[tuple[str, str]]:
        """Yield the fields that no control of the page holds."""
        if self.view != VIEWS[0]:
            yield "view", self.view
        if self.similar:
            yield "similar", self.similar
        if self.like:
            yield "like", self.like

    def _quoted(self) -> Iterator[tuple[str, str]]:
        for name in ("folder", "tag", "kind", "camera"):
            yield name, getattr(self, name)

    def _address(self, path: str, start: int, changes: Mapping[str, str], at: int | None = None) -> str:
        changed = replace(self, **changes)
        fields = {"q": changed.words} | {name: getattr(changed, name) for name in _FIELDS}
        fields |= {"sort": changed.sort, "view": "" if changed.view == VIEWS[0] else changed.view}
        fields |= {"start": str(start) if start else "", "at": "" if at is None else str(at)}
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"{self.prefix}{path}{'?' if query else ''}{query}"


def kind_title(kind: str) -> str:
    """Return the name of a kind of picture for people."""
    return {
        "": t("All"),
        "photo": t("Photos"),
        "animation": t("Animations"),
        "video": t("Videos"),
        "document": t("Documents"),
        "picture": t("Other pictures"),
    }.get(kind, kind)


def sort_titles(*, is_search: bool) -> list[tuple[str, str]]:
    """Return the orders that can be chosen, with their names; "" is the natural one."""
    titles = [
        ("newest", t("Newest first")),
        ("oldest", t("Oldest first")),
        ("name", t("By name")),
        ("size", t("Largest first")),
        ("added", t("Last added first")),
    ]
    return [("", t("Best first")), *titles] if is_search else [("", t("Newest first")), *titles[1:]]


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    return value if value in allowed else ""


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return ""
