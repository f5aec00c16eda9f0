"""No string that anybody can type makes a search raise."""

from __future__ import annotations

import itertools
import random
import sys

import pytest

from scale import scaled
from smallsight.library.search.searcher import Mode

NUM_QUERIES = scaled(600)  # for each of four seeds
WORDS = [
    "cat",
    "CAT",
    "frendly",
    "friendly shark",
    "犬猫",
    "кот",
    "γάτα",
    "قطة",
    "शब्द",
    "tag:animals",
    "folder:memes",
]
OPERATORS = [
    *[
        '"',
        "'",
        "*",
        "^",
        ":",
        "-",
        "+",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "\\",
        "/",
        "%",
        "_",
        ";",
        "--",
        "\0",
        "“",
        "”",
    ],
    *[
        "AND",
        "OR",
        "NOT",
        "NEAR",
        "NEAR(",
        "NEAR/3",
        "name:",
        "ocr :",
        "tag:",
        "folder:",
        "-tag:",
        '-folder:"',
        "-",
    ],
    *[
        "\ud800",
        "\udfff",
        "\u202e",
        "\u200f",
        "\u2066",
        "\u200d",
        "\ufe0f",
        "\u0301" * 40,
        "\u0489\u0335\u20dd",
    ],
    *[
        "👨‍👩‍👧",
        "🇫🇷",
        "1️⃣",
        "😀",
        "\ue000",
        "\ue001",
        "\ue002animals",
        "\uffff",
        "\U0010ffff",
        "\x1b[31m",
        "\r\n",
        "\u2028",
    ],
    *[
        "ux1f600",
        "1' OR '1'='1",
        "DROP TABLE picture",
        "%s%n",
        "${x}",
        "../../etc/passwd",
        "ﷺ",
        "㈱",
        "½",
        "İ",
        "ß",
    ],
]
SCRIPTS = [
    *[
        (0x20, 0x7F),
        (0xA0, 0x24F),
        (0x300, 0x36F),
        (0x370, 0x3FF),
        (0x400, 0x52F),
        (0x590, 0x6FF),
        (0x900, 0x97F),
    ],
    *[
        (0xE00, 0xE7F),
        (0x1100, 0x11FF),
        (0x2000, 0x206F),
        (0x3000, 0x30FF),
        (0x4E00, 0x4FFF),
        (0xAC00, 0xADFF),
    ],
    *[
        (0xD800, 0xDFFF),
        (0xE000, 0xE0FF),
        (0xFE00, 0xFFFF),
        (0x1F300, 0x1FAFF),
        (0xE0000, 0xE01EF),
        (0, 0x1F),
    ],
    (0, sys.maxunicode),
]


def nasty(rng: random.Random) -> str:
    """Return one random query: operators and words mixed, one script, or very long."""
    kind = rng.random()
    if kind < 0.55:
        separator = rng.choice(["", " ", " ", "  "])
        return separator.join(
            rng.choice(OPERATORS if rng.random() < 0.6 else WORDS) for _ in range(rng.randint(0, 7))
        )
    if kind < 0.95:
        low, high = rng.choice(SCRIPTS)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 12)))
    if kind < 0.997:
        low, high = rng.choice(SCRIPTS)
        return "".join(rng.choice([" ", chr(rng.randint(low, high))]) for _ in range(rng.randint(20, 80)))
    return rng.choice([*OPERATORS, *WORDS]) * rng.randint(200, 5_000)


@pytest.fixture
def check(small, searcher):
    """Search for a query in the mode and at the offset of its number; say whether there were hits."""
    small.add("memes/cat.png", ocr="one does not simply friendly cat", tags=["animals"])
    small.add("memes/shark.png", description="a friendly shark, smiling 😀", tags=["Animals", "sea"])
    small.add("犬.jpg", root="/srv/me", ocr="可愛い犬と猫 кот γάτα", description="شكر قطة शब्द")
    small.add("x/selfishness.gif", ocr="selfishness AND NOT NEAR OR the rest")
    modes = [Mode.FUSED, Mode.SEMANTIC, *[Mode.KEYWORD] * 6]  # what the text is taken apart for

    def search(query, number):
        try:
            result = searcher.search(query, mode=modes[number % 8], limit=1, offset=number % 3)
        except Exception as error:
            raise AssertionError(f"query number {number} raised: {query[:200]!a}") from error
        assert len(result.hits) <= 1
        for hit in result.hits:
            assert all(0 <= start < end <= len(hit.excerpt) <= 160 for start, end in hit.highlights)
        return bool(result.hits)

    return search


@pytest.mark.parametrize("seed", range(4))
def test_no_string_makes_a_search_raise(check, seed):
    rng = random.Random(seed)
    num_with_hits = sum(check(nasty(rng), number) for number in range(NUM_QUERIES))
    assert num_with_hits > NUM_QUERIES // 20, "the queries are so wild that they test nothing"


def test_no_two_pieces_side_by_side_make_a_search_raise(check):
    pieces = [*OPERATORS, *WORDS]
    for number, (first, second) in enumerate(itertools.product(pieces, repeat=2)):
        check(f"{first}{' ' * (number // 8 % 2)}{second}", number)
