from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from smallsight.library.search import keyword
from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.settings import SearchSettings, Settings


def test_all_words_come_before_words_that_go_on_parts_and_some_words(small, words_only, found):
    some = small.add(ocr="big bird")
    part = small.add(ocr="big goldfinches")
    longer = small.add(ocr="big finches")
    exact = small.add(ocr="finch big")
    assert found(words_only, "big finch") == [exact, longer, part, some]


def test_a_rare_word_as_written_comes_before_its_correction(small, words_only, found):
    corrected = [small.add(ocr=f"big finch {number}") for number in range(6)]
    exact = small.add(ocr="big fnich")
    assert found(words_only, "big fnich") == [exact, *reversed(corrected)]


def test_ranking_of_kinds(small, words_only):
    small.add(ocr="nothing of it")
    substring = small.add(ocr="selfishness wins")
    prefix = small.add(ocr="fishes win")
    exact = small.add(ocr="one fish wins")
    result = words_only.search("fish")
    assert [hit.content_id for hit in result.hits] == [exact, prefix, substring]
    assert [hit.found_by for hit in result.hits] == [("keyword",), ("keyword",), ("substring",)]
    assert result.corrections == {}
    assert result.total == 3


def test_misspelt_words_are_corrected_and_reported(small, words_only):
    one = small.add(ocr="such a friendly shark")
    small.add(ocr="unfriendliness")
    result = words_only.search("frendly shark")
    assert [hit.content_id for hit in result.hits] == [one]
    assert result.corrections == {"frendly": ["friendly"]}
    (hit,) = result.hits
    assert hit.found_by == ("keyword", "typo")
    assert [hit.excerpt[start:end] for start, end in hit.highlights] == ["friendly", "shark"]


def test_the_meaning_is_that_of_the_corrected_words(small, database, settings):
    small.add(ocr="such a friendly shark")
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return np.eye(len(texts), 8, dtype=np.float32)

    Searcher(SqliteTextIndex(database, "any"), settings, embed).search("Frendly, SHARK!")
    assert asked == ["friendly SHARK"]


def test_some_words_are_enough_when_few_hold_all_and_the_rarer_counts_more(small, words_only, found):
    common = [small.add(ocr="picture of something") for _ in range(5)]
    rare = small.add(ocr="zebra somewhere")
    assert found(words_only, "picture of zebra") == [rare, *reversed(common)]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("ОДИН ЁЖИК", "ежик"),
        ("Η ΓΆΤΑ μου", "γατα"),
        ("可愛い犬と猫", "犬と"),
        ("東京タワー", "京"),
        ("안녕하세요 세계", "안녕"),
        ("안녕하세요 세계", "하세"),
        ("قِطَّة جميلة", "قطة"),
        ("สวัสดีชาวโลก", "ชาว"),
        ("नमस्ते दुनिया", "दुनिया"),
        ("party 🎉🎉", "🎉"),
        ("ＦＵＬＬ width", "full"),
        ("Crème brûlée", "creme brulee"),
        ("creme", "Crème"),
        ("spider-man", "Spider Man"),
        ("spider man", "spider-man"),
        ("DON'T PANIC", "dont panic"),
        ("ab", "a"),
        ("xyz", "y"),
    ],
)
def test_any_script_and_spelling(small, words_only, text, query, found):
    one = small.add(ocr=text)
    small.add(ocr="other words")
    assert found(words_only, query)[:1] == [one]


def test_every_field_is_searched(small, words_only, found):
    ids = [
        small.add("Grumpy_Walrus.png"),
        small.add("walrus/a.png"),
        small.add("b.png", tags=["Walrus"]),
        small.add("c.png", description="a walrus"),
        small.add("d.png", ocr="WALRUS"),
        small.add("e.png", root="/srv/me/walrus"),
    ]
    small.add("f.png", root="/srv/walrus/pictures")  # parts above the added folder are not content
    assert sorted(found(words_only, "walrus")) == ids


def test_quotes_minus_words_and_phrases(small, words_only, found):
    one = small.add(ocr="hot dog stand")
    two = small.add(ocr="dog hot stand")
    three = small.add(ocr="hot dogs")
    assert found(words_only, '"hot dog"') == [one]
    assert sorted(found(words_only, "hot dog")) == [one, two, three]
    assert found(words_only, "hot -dog") == [three]
    assert sorted(found(words_only, 'stand -"hot dog"')) == [two]
    assert sorted(found(words_only, "-dogs")) == [one, two]
    assert found(words_only, "hot -hot") == []


def test_filters_by_tag_and_folder(small, words_only, found):
    one = small.add("2024/may/a.png", root="/srv/me/Memes", ocr="cat", tags=["Café", "two words"])
    two = small.add("2024/b.png", root="/srv/me/Memes", ocr="cat", tags=["cafe"])
    three = small.add("c.png", root="/srv/me/Photos", ocr="cat")
    assert sorted(found(words_only, "cat tag:CAFE")) == [one, two]
    assert found(words_only, 'tag:"TWO  words"') == [one]
    assert found(words_only, "tag:caf") == []
    assert found(words_only, "-tag:cafe") == [three]
    assert found(words_only, "folder:memes") == [two, one]
    assert found(words_only, "folder:memes/2024/may cat") == [one]
    assert found(words_only, "folder:/srv/me/photos") == [three]
    assert found(words_only, "folder:/memes") == []
    assert found(words_only, "folder:2024 -folder:may") == [two]
    assert found(words_only, "folder:mem") == []


def test_filters_apply_before_the_cut(small, searcher, found):
    wanted = small.add(ocr="cat", tags=["rare"])
    for _ in range(30):
        small.add(ocr="cat cat cat")
    for mode in Mode:
        assert found(searcher, "cat tag:rare", limit=1, mode=mode) == [wanted]


def test_without_words_the_newest_come_first(small, words_only, found):
    ids = [small.add() for _ in range(7)]
    result = words_only.search("", limit=3, offset=2)
    assert [hit.content_id for hit in result.hits] == [ids[4], ids[3], ids[2]]
    assert result.total == 7
    assert found(words_only, "!!! ...", limit=2) == [ids[6], ids[5]]


@pytest.mark.parametrize("refresh", [True, False])
@pytest.mark.parametrize("mode", list(Mode))
def test_vanished_files_never_appear(small, searcher, mode, refresh, found):
    gone = small.add(ocr="friendly cat")
    kept = small.add(ocr="friendly cat")
    small.vanish(gone, refresh=refresh)
    assert found(searcher, "friendly cat", mode=mode) == [kept]
    assert found(searcher, "", mode=mode) == [kept]


def test_hits_show_the_file_and_its_copies(small, words_only):
    one = small.add("b/cat.png", root="/srv/me/Memes", ocr="cat", description="one cat", tags=["Z", "a"])
    copy = small.add_file(one, "cat2.png", root="/elsewhere")
    (hit,) = words_only.search("cat").hits
    assert hit.path == Path("/srv/me/Memes/b/cat.png")
    assert hit.other_paths == (Path("/elsewhere/cat2.png"),)
    assert (hit.width_px, hit.height_px) == (4, 3)
    assert (hit.ocr_text, hit.description, hit.tags) == ("cat", "one cat", ("a", "Z"))
    assert len(hit.thumbnail_key) == 64
    (hit,) = words_only.search("cat folder:elsewhere").hits
    assert hit.path == Path("/elsewhere/cat2.png")
    assert hit.picture_id == copy


def test_semantic_hits_need_the_floor_and_say_how_similar(
    small, database, settings, searcher, found, make_searcher
):
    near = small.add(ocr="friendly sharks swim")
    small.add(ocr="1111 2222 3333")
    result = searcher.search("friendly shark swims", mode=Mode.SEMANTIC)
    assert [hit.content_id for hit in result.hits] == [near]
    assert result.hits[0].found_by == ("semantic",)
    assert result.hits[0].similarity > 0.6
    assert result.hits[0].score == result.hits[0].similarity
    assert result.semantic_available
    strict = Settings(home=settings.home, search=SearchSettings(min_similarity=0.99))
    assert found(make_searcher(database, strict), "friendly shark swims", mode=Mode.SEMANTIC) == []


def test_minus_words_apply_to_meaning_too(small, searcher, found):
    small.add(ocr="friendly sharks swim here", tags=["sea"])
    kept = small.add(ocr="friendly sharks swam")
    for query in (
        "friendly shark swims -swim",
        "friendly shark swims -tag:sea",
        'friendly shark -"sharks swim"',
    ):
        for mode in Mode:
            assert found(searcher, query, mode=mode) == [kept]


def test_both_sides_together(small, searcher):
    both = small.add(ocr="a friendly shark")
    meaning = small.add(ocr="friendlyshark sharkfriendly")
    result = searcher.search('"friendly shark"')
    assert [hit.content_id for hit in result.hits] == [both, meaning]
    assert result.hits[0].found_by == ("keyword", "semantic")
    assert result.hits[1].found_by == ("keyword", "semantic")
    assert result.hits[1].excerpt == "friendlyshark sharkfriendly"


def test_without_an_embedder(small, words_only, found):
    one = small.add(ocr="a friendly shark")
    assert found(words_only, "shark") == [one]
    result = words_only.search("shark", mode=Mode.SEMANTIC)
    assert result.hits == ()
    assert not result.semantic_available


def test_an_empty_library(searcher):
    for query in ("", "cat", "tag:x", "-cat"):
        assert searcher.search(query).total == 0


def test_odd_limits_and_offsets(small, words_only, found):
    one = small.add(ocr="cat")
    for query in ("cat", ""):
        assert found(words_only, query, limit=0) == []
        assert found(words_only, query, limit=-5) == []
        assert found(words_only, query, limit=2**80) == [one]
        assert found(words_only, query, offset=2**80) == []
        assert found(words_only, query, offset=-3) == [one]


def test_among_very_many_the_tagged_and_named_come_first(small, words_only, monkeypatch):
    monkeypatch.setattr(keyword, "_MAX_RANKED", 3)
    monkeypatch.setattr(keyword, "_PLENTY", 5)
    monkeypatch.setattr(keyword, "MAX_FOUND", 8)
    tagged = small.add(ocr="x", tags=["cat"])
    ids = [small.add(ocr="cat and more") for _ in range(12)]
    result = words_only.search("cat", limit=100)
    assert result.hits[0].content_id == tagged
    assert [hit.content_id for hit in result.hits[1:]] == ids[:3:-1]
    assert result.total == 9


def test_the_pages_of_one_search_are_ranked_once_until_the_library_changes(small, database, settings):
    asked = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.append(texts)
        return np.zeros((1, 8), np.float32)

    searcher = Searcher(SqliteTextIndex(database, "any"), settings, embed)
    first, second = small.add(ocr="red kite one"), small.add(ocr="red kite two")
    pages = [searcher.search("red kite", limit=1, offset=offset) for offset in (0, 1)]
    assert [page.hits[0].content_id for page in pages] == [second, first]
    assert len(asked) == 1
    third = small.add(ocr="red kite six")
    again = searcher.search("red kite", limit=1)
    assert (again.hits[0].content_id, again.total) == (third, 3)
    assert len(asked) == 2
