"""Words as people write them: what is searched for in any spelling is found, and nothing beside it.

Reports: ccrecall#23, ccrecall#29, smithers#712, mcp_agent_mail#67, another-notes-app#155.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from smallsight.library.search.searcher import Mode, Searcher
from smallsight.services.application import Application
from smallsight.settings import Settings

from .conftest import Command

TEXTS = [
    "Learning C++ and C# in one week",
    "Vitamin C tablets",
    "send an e-mail to bob@example.com",
    "my email is lost",
    "price $1,299.00 was 1299 euro",
    "AT&T outage, Wi-Fi down",
    "wifi password",
    "dogs on the sofa",
    "a dog on a sofa",
    "POL-358 ticket",
    "see https://example.org/a_b?x=1#top",
    "family \U0001f468\u200d\U0001f469 and \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "ฉันชอบกินข้าวผัดมาก",
    "שלום עולם",
    "مرحبا بالعالم",
    "größer als Straße",
    "snake_case_name and camelCaseName",
    "version 3.14.2 of app",
    "20% off, 5° outside, 100 km/h",
    "ＦＵＬＬ ｗｉｄｔｈ",
    "rock'n'roll don't stop",
    "東京タワーの夜景",
    "room ۱۲۳ of علي",
    "學校 library",
    "图书馆",
    "#lanternfest with @nasa",
    "error on grammar::fa with --error-on-warnings",
    "ubuntu 24.10 has disk 80% usage",
    "it's e=mc2 [bracket] why? semi;colon <label>",
]


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    root = tmp_path_factory.mktemp("searches")
    command = Command(root / "home")
    pictures = root / "pictures"
    for folder in (command.home, pictures):
        folder.mkdir()
    for number in range(len(TEXTS)):
        cells = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(cells).resize((200, 150)).save(pictures / f"q{number:02d}.png")
    patch = pytest.MonkeyPatch()
    patch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    command.run("index", pictures, "--quiet")
    with Application(Settings(home=command.home), for_writing=True) as application:
        for number, text in enumerate(TEXTS):
            content_id = application.library.find_content(pictures / f"q{number:02d}.png")
            application.library.edit(content_id, description=text)
    patch.undo()
    with Application(Settings(home=command.home), for_writing=False) as application:
        yield application.searcher


def found(searcher: Searcher, words: str) -> set[int]:
    hits = searcher.search(words, mode=Mode.KEYWORD, limit=50).hits
    return {int(hit.path.stem[1:]) for hit in hits}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("c++", {0}),
        ("c#", {0}),
        ("e-mail", {2, 3}),
        ("email", {2, 3}),
        ("bob@example.com", {2}),
        ("$1,299.00", {4}),
        ("1299", {4}),
        ("at&t", {5}),
        ("wi-fi", {5, 6}),
        ("wifi", {5, 6}),
        ("dogs", {7, 8}),
        ("dog OR", {7, 8}),
        ("POL-358", {9}),
        ("pol358", {9}),
        ("example.org/a_b", {10}),
        ("\U0001f44d", {11}),
        ("\U0001f1e9\U0001f1ea", {11}),
        ("\u2764", {11}),
        ("ข้าวผัด", {12}),
        ("עולם", {13}),
        ("بالعالم", {14}),
        ("strasse", {15}),
        ("grosser", {15}),
        ("snake_case", {16}),
        ("camelcasename", {16}),
        ("3.14", {17}),
        ("20%", {18}),
        ("5°", {18}),
        ("full width", {19}),
        ("don't", {20}),
        ("dont", {20}),
        ("東京", {21}),
        ("夜景", {21}),
        ("タワー", {21}),
        ("123", {22}),
        ("علی", {22}),
        ("学校", {23}),
        ("図書館", {24}),
        ("#lanternfest", {25}),  # dogsheep-beta#14
        ("@nasa", {25}),  # mulder#152
        ("grammar::fa", {26}),  # tinyfts#2
        ('"--error-on-warnings"', {26}),  # docs-mcp-server#262
        ("ubuntu 24.10", {27}),  # cis-bench#12
        ("disk 80% usage", {27}),  # arra-oracle-v3#690
        ("it's", {28}),  # hermes-agent#79285, and the next four
        ("e=mc2", {28}),
        ("[bracket]", {28}),
        ("why?", {28}),
        ("semi;colon <label>", {28}),
        ("q08.png", {8}),
        ("Q08", {8}),
        ("NEAR(", set()),
        ('"unclosed phrase', set()),
        ("description:dog", set()),
        ("folder:nowhere", set()),
    ],
)
def test_words_in_any_spelling(searcher: Searcher, words: str, expected: set[int]):
    assert found(searcher, words) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ['"', "*", "(", "-", "--", "\\", ":", "' OR 1=1 --", "x" * 5_000, "(" * 200]
)
def test_no_search_is_an_error(searcher: Searcher, words: str):
    found(searcher, words)
