"""A library of generated pictures, and searches for it, for ``search_latency.py`` and ``gallery_load.py``.

Texts are words of a made-up language whose frequencies follow Zipf's law. Vectors lie around topics, so
that a query has near ones. Dates spread over twelve years, a third of the pictures have a camera.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.search.sqlite.facets import refresh_index
from smallsight.library.search.tokens import normalise
from smallsight.settings import load_settings

SEED = 20260101
GENERATOR_VERSION = 5
EMBEDDER_KEY = "generated"
NUM_WORDS, NUM_HAN = 50_000, 2_000
NUM_TOPICS, NUM_DIMENSIONS = 400, 384
TOPIC_SHARE = 0.7  # of a vector's length; two of one topic have a cosine of about the square of this
FIRST_DATE_S, S_BETWEEN_DATES, S_OF_ALL_DATES = 1_300_000_000, 7_919_003, 400_000_000
CONTENTS_PER_BATCH = 2_000
FOLDERS = [f"{year}/{month:02}" for year in (2023, 2024, 2025) for month in range(1, 13)]
FOLDERS += ["memes", "memes/cats", "Screenshots"]
CAMERAS = [f"Maker {maker} M{model}" for maker in ("One", "Two", "Three") for model in (10, 20, 30, 40)]
SIZES_PX = [(4032, 3024), (3024, 4032), (1920, 1080), (1080, 1920), (1080, 1080), (640, 480), (1179, 2556)]


def made_up_words() -> list[str]:
    """Return distinct words, the frequent ones short."""
    rng = random.Random(SEED)
    onsets = "b c d f g h j k l m n p r s t v w br cl dr fl gr pl pr st tr sh ch th".split()
    vowels, codas = "a e i o u ai ea ou".split(), ["", "", "n", "r", "s", "t", "l", "ng", "ck"]
    words: dict[str, None] = {}
    while len(words) < NUM_WORDS:
        num_syllables = rng.choice([1, 2]) if len(words) < 1_000 else rng.choice([2, 2, 3, 3, 4])
        words[
            "".join(rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas) for _ in range(num_syllables))
        ] = None
    return list(words)


class Language:
    """Draws words, Han characters and vectors."""

    def __init__(self, rng: np.random.Generator, topics_TD: np.ndarray | None = None) -> None:
        """``topics_TD`` are vectors of an embedder, float32 [T, 384]; random ones by default."""
        self.words = made_up_words()
        self._rng = rng
        frequencies = 1 / np.arange(1, NUM_WORDS + 1)
        self._cumulated = np.cumsum(frequencies / frequencies.sum())
        if topics_TD is None:
            rows = np.random.default_rng(SEED).standard_normal((NUM_TOPICS, NUM_DIMENSIONS))
            topics_TD = rows.astype(np.float32)
        self._topics = topics_TD / np.linalg.norm(topics_TD, axis=1, keepdims=True)

    def draw(self, num_words: int) -> list[str]:
        """Return words as they would follow each other in texts."""
        drawn = np.searchsorted(self._cumulated, self._rng.random(num_words))
        return [self.words[min(rank, NUM_WORDS - 1)] for rank in drawn.tolist()]

    def draw_han(self, num_characters: int) -> str:
        """Return Han characters, frequent ones more often."""
        ranks = (NUM_HAN * self._rng.random(num_characters) ** 3).astype(int)
        return "".join(chr(0x4E00 + rank) for rank in ranks.tolist())

    def vectors(self, num: int) -> np.ndarray:
        """Return float32 [N, D] of unit length, each near one topic."""
        noise = self._rng.standard_normal((num, NUM_DIMENSIONS)).astype(np.float32)
        noise *= np.sqrt(1 - TOPIC_SHARE**2) / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors_ND: np.ndarray = (
            TOPIC_SHARE * self._topics[self._rng.integers(0, len(self._topics), num)] + noise
        )
        return vectors_ND

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Stand in for an embedder: the same text gives the same vector."""
        self._rng = np.random.default_rng(zlib.crc32("\n".join(texts).encode()))
        return self.vectors(len(texts))


@dataclass(frozen=True, slots=True)
class BuildTimes:
    """Seconds that a library took: all of it, and its search index and facets alone."""

    all_s: float
    index_s: float


def build_library(
    home: Path, num_contents: int, *, embedder_key: str = EMBEDDER_KEY, topics_TD: np.ndarray | None = None
) -> BuildTimes:
    """Fill a new library; the vectors are of the embedder with this key."""
    started, index_s = time.perf_counter(), 0.0
    language = Language(np.random.default_rng(SEED), topics_TD)
    rng = random.Random(SEED)
    with Database.open_for_writing(load_settings(home=home).database_path) as database:
        tags = [
            f"{word} tag" if number % 5 == 0 else word for number, word in enumerate(language.words[200:500])
        ]
        with database.writing() as connection:
            run = connection.exec_driver_sql
            run("INSERT INTO folder (id, path, added_at_s) VALUES (1, '/home/somebody/Pictures', 0)")
            run(
                "INSERT INTO tag (id, name, folded) VALUES (?, ?, ?)",
                [(n, t, normalise(t)) for n, t in enumerate(tags)],
            )
        for first in range(1, num_contents + 1, CONTENTS_PER_BATCH):
            ids = list(range(first, min(first + CONTENTS_PER_BATCH, num_contents + 1)))
            with database.writing() as connection:
                insert_batch(connection, ids, language, rng, len(tags), embedder_key)
                indexed_from = time.perf_counter()
                refresh_index(connection, ids)
                index_s += time.perf_counter() - indexed_from
    return BuildTimes(time.perf_counter() - started, index_s)


def insert_batch(
    connection: sa.Connection,
    ids: list[int],
    language: Language,
    rng: random.Random,
    num_tags: int,
    embedder_key: str,
) -> None:
    """Insert contents with one file each, up to three tags and one to three chunks."""
    contents: list[tuple[Any, ...]] = []
    pictures: list[tuple[Any, ...]] = []
    tags: list[tuple[int, int]] = []
    chunks: list[tuple[int, str]] = []
    for content_id in ids:
        words = language.draw(rng.randint(5, 40))
        described = rng.randint(0, len(words) // 2) if rng.random() < 0.6 else 0
        ocr = " ".join(words[described:]).upper()
        if rng.random() < 0.05:
            ocr += "\n" + language.draw_han(rng.randint(4, 20))
        sha256 = hashlib.sha256(str(content_id).encode()).hexdigest()
        hashes = rng.getrandbits(63), rng.getrandbits(63)
        description = " ".join(words[:described])
        contents.append((content_id, sha256, *looks_of(content_id), *hashes, ocr, description))
        name = "_".join(language.draw(rng.randint(1, 3))) if rng.random() < 0.5 else f"IMG_{content_id:06}"
        pictures.append(
            (
                content_id,
                1,
                f"{rng.choice(FOLDERS)}/{name}_{content_id}.jpg",
                1,
                int(taken_s(content_id) * 1e9),
                content_id,
                0.0,
            )
        )
        tags += [
            (content_id, int(num_tags * rng.random() ** 3)) for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))
        ]
        chunks += [(content_id, " ".join(words[:12])) for _ in range(rng.randint(1, 3))]
    store(connection, contents, pictures, tags)
    vectors_ND = language.vectors(len(chunks)).astype("<f2")
    connection.exec_driver_sql(
        "INSERT INTO chunk (content_id, text, embedder_key, vector) VALUES (?, ?, ?, ?)",
        [
            (content_id, text, embedder_key, vector_D.tobytes())
            for (content_id, text), vector_D in zip(chunks, vectors_ND, strict=True)
        ],
    )


def looks_of(content_id: int) -> tuple[Any, ...]:
    """Return size in bytes, format, width, height, frames, colours, camera and time taken of a content."""
    rng = random.Random(SEED + content_id)
    width_px, height_px = rng.choice(SIZES_PX)
    camera = rng.choice(CAMERAS) if rng.random() < 1 / 3 else None
    when_s = None if camera is None else taken_s(content_id)
    size_bytes = rng.randint(20_000, 5_000_000)
    return size_bytes, "JPEG", width_px, height_px, 1, rng.randbytes(48), camera, when_s


def taken_s(content_id: int) -> float:
    """Return when a content was taken."""
    return float(FIRST_DATE_S + content_id * S_BETWEEN_DATES % S_OF_ALL_DATES)


def store(
    connection: sa.Connection,
    contents: list[tuple[Any, ...]],
    pictures: list[tuple[Any, ...]],
    tags: list[tuple[int, int]],
) -> None:
    """Insert rows as they are."""
    run = connection.exec_driver_sql
    run(
        """INSERT INTO content
        (id, sha256, size_bytes, format, width_px, height_px, num_frames, colours, camera, taken_wall_s,
         phash, dhash, ocr_text, description)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        contents,
    )
    run(
        """INSERT INTO picture (id, folder_id, path, size_bytes, mtime_ns, content_id, seen_at_s)
        VALUES (?, ?, ?, ?, ?, ?, ?)""",
        pictures,
    )
    run("INSERT OR IGNORE INTO content_tag (content_id, tag_id) VALUES (?, ?)", tags)


def misspelt(word: str, rng: random.Random) -> str:
    """Return the word with two neighbours swapped, or a letter lost, doubled or replaced."""
    place = rng.randint(1, len(word) - 2)
    ways = [
        word[:place] + word[place + 1] + word[place] + word[place + 2 :],
        word[:place] + word[place + 1 :],
        word[:place] + word[place] + word[place:],
        word[:place] + rng.choice("aeioutnrs") + word[place + 1 :],
    ]
    return rng.choice(ways)


def make_queries(home: Path, language: Language, num_queries: int) -> list[tuple[str, str]]:
    """Return (kind, text), all kinds in turn; words of a query stand together in some picture."""
    rng = random.Random(SEED + 1)
    with sqlite3.connect(load_settings(home=home).database_path) as connection:
        texts = [
            row[0]
            for row in connection.execute("SELECT lower(ocr_text) FROM content ORDER BY id LIMIT 20000")
        ]
        han = [
            row[0]
            for row in connection.execute(
                "SELECT ocr_text FROM content WHERE ocr_text LIKE '%' || char(10) || '%' LIMIT 2000"
            )
        ]
    kinds = query_kinds(language, rng, texts, han)
    names = list(kinds)
    return [
        (names[number % len(names)], kinds[names[number % len(names)]]()) for number in range(num_queries)
    ]


def query_kinds(
    language: Language, rng: random.Random, texts: list[str], han: list[str]
) -> dict[str, Callable[[], str]]:
    """Return for each kind of query what makes one."""
    rare, common = language.words[5_000:], language.words[:30]
    tag = language.words[201:210]

    def words_of_one(least: int, most: int) -> list[str]:
        words: list[str] = []
        while len(words) < most:
            words = rng.choice(texts).split()
        return rng.sample(words, rng.randint(least, most))

    def run_of_one(num: int) -> str:
        words: list[str] = []
        while len(words) < num:
            words = rng.choice(texts).split()
        start = rng.randint(0, len(words) - num)
        return " ".join(words[start : start + num])

    def long_word() -> str:
        return rng.choice([word for word in rng.sample(language.words[200:20_000], 50) if len(word) >= 6])

    return {
        "one rare word": lambda: rng.choice(rare),
        "one common word": lambda: rng.choice(common),
        "2 to 4 words of a picture": lambda: " ".join(words_of_one(2, 4)),
        "2 to 4 common words": lambda: " ".join(rng.sample(common, rng.randint(2, 4))),
        "words never together": lambda: " ".join([rng.choice(rare), rng.choice(rare), rng.choice(common)]),
        "a sentence": lambda: run_of_one(rng.randint(7, 10)),
        "misspelt word": lambda: misspelt(long_word(), rng),
        "misspelt and right word": lambda: (
            f"{misspelt(long_word(), rng)} {rng.choice(language.words[50:2_000])}"
        ),
        "half-typed word": lambda: long_word()[: rng.randint(3, 5)],
        "words and one letter": lambda: f"{rng.choice(language.words[50:2_000])} {rng.choice('abcdefgst')}",
        "phrase": lambda: f'"{run_of_one(rng.randint(2, 3))}"',
        "common phrase": lambda: f'"{" ".join(rng.sample(common[:10], 2))}"',
        "part of a word": lambda: long_word()[1:-1],
        "two letters": lambda: "".join(rng.sample("abcdefghiklmnoprstu", 2)),
        "Han": lambda: rng.choice(han).split("\n")[1][: rng.randint(1, 4)],
        "word, tag": lambda: f"{rng.choice(common)} tag:{rng.choice(tag)}",
        "word, folder, minus word": lambda: f"{rng.choice(common)} folder:memes -{rng.choice(common)}",
        "minus common word": lambda: f"{rng.choice(rare)} {rng.choice(common)} -{rng.choice(common)}",
        "filters only": lambda: f"folder:2024 -tag:{rng.choice(tag)}",
    }
