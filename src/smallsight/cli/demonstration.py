"""The demonstration: its pictures, and the queries that it runs on them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.schema import content, picture
from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.tokens import tokenize
from smallsight.services.describing import SHIPPED_MODEL
from smallsight.settings import Settings

_MANIFESTS = ("pictures.json", "stickers.json")
_GENERAL_QUERIES = (
    "exhausted on a weekday",
    "food and cooking",
    "animals and pets",
    "computers and programming",
    "travel and holidays",
    "buying and paying for something",
    "the weather",
)


@dataclass(frozen=True, slots=True)
class DemoQuery:
    """A query, its search mode, and the kind of search that it demonstrates."""

    kind: str  # keyword | semantic | misspelt | drawn
    text: str
    mode: Mode


def demo_settings(settings: Settings, pictures: Path, *, is_own: bool) -> Settings:
    """Return settings with a separate library for these pictures, in the user's data folder.

    Unless a model is set, the one in this package describes the stickers among the example pictures. It was
    not trained on photographs, so a user's own pictures are described only by a model that the user sets.
    """
    changed: dict[str, Any] = {"home": _home(settings, pictures)}
    if not is_own and settings.describe.model is None:
        stickers = pictures.resolve().parent / "stickers"
        changed["describe"] = settings.describe.model_copy(
            update={"model": SHIPPED_MODEL, "folders": (stickers,)}
        )
    return settings.model_copy(update=changed)


def demo_home(pictures: Path | None) -> Path:
    """Return the data folder of `smallsight demo` for a folder of pictures, or for the examples."""
    from smallsight.services.example_pictures import shipped_pictures
    from smallsight.settings import load_settings

    return _home(load_settings(), shipped_pictures()[0] if pictures is None else pictures)


def _home(settings: Settings, pictures: Path) -> Path:
    return settings.home / "demo" / hashlib.sha256(str(pictures.resolve()).encode()).hexdigest()[:8]


def shipped_queries(examples: Path) -> list[DemoQuery]:
    """Return the first query of each kind from the manifests of the example pictures."""
    manifests = [json.loads((examples / name).read_text(encoding="utf-8")) for name in _MANIFESTS]
    first: dict[str, DemoQuery] = {}
    for query in [query for manifest in manifests for query in manifest["demo_queries"]]:
        kind = query["kind"]
        mode = Mode.SEMANTIC if kind == "semantic" else Mode.FUSED
        first.setdefault(kind, DemoQuery(kind, query["query"], mode))
    return list(first.values())


def invented_queries(database: Database, searcher: Searcher) -> list[DemoQuery]:
    """Make up queries for unknown pictures from the text that was read in them."""
    queries = []
    words = _rare_words(database)
    if words:
        queries.append(DemoQuery("keyword", words[0], Mode.FUSED))
    if searcher.search("", limit=1).semantic_available:
        queries.append(DemoQuery("semantic", _best_query(searcher), Mode.SEMANTIC))
    if len(words) > 1:
        queries.append(DemoQuery("misspelt", _misspell(words[1]), Mode.FUSED))
    return queries


def _rare_words(database: Database) -> list[str]:
    """Return words of 6 to 12 letters from the 500 newest texts: rare ones first, then longer ones."""
    here = sa.exists().where(picture.c.content_id == content.c.id, picture.c.vanished_at_s.is_(None))
    with database.reading() as connection:
        texts = connection.execute(
            sa.select(content.c.ocr_text)
            .where(here, content.c.ocr_text != "")
            .order_by(content.c.id.desc())
            .limit(500)
        ).scalars()
        pictures_of: dict[str, int] = {}
        for text in texts:
            for word in {token.term for token in tokenize(text)}:
                if word.isalpha() and word.isascii() and 6 <= len(word) <= 12:
                    pictures_of[word] = pictures_of.get(word, 0) + 1
    return sorted(pictures_of, key=lambda word: (pictures_of[word] > 3, -len(word), word))


def _best_query(searcher: Searcher) -> str:
    def closeness(query: str) -> float:
        hits = searcher.search(query, mode=Mode.SEMANTIC, limit=1).hits
        return max((hit.similarity or 0.0 for hit in hits), default=0.0)

    return max(_GENERAL_QUERIES, key=closeness)


def _misspell(word: str) -> str:
    """Swap two letters in the middle of a word."""
    middle = len(word) // 2
    return word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
