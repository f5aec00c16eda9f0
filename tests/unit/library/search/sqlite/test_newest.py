"""The newest contents that meet a condition, and pages of filters alone, against reading every text."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from smallsight.library.search.query import parse_query
from smallsight.library.search.sqlite import long_prefixes, matching
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.search.text_index import Condition, Sort, WordForm

WORDS = "no news newspaper newspapers newsagent newsreel goodnews paper papers paperback of the 犬".split()
TAGS, FOLDERS = ["paper", "news", "old"], ["memes", "memes/news", "photos"]


@dataclass(frozen=True)
class Stored:
    """What is known of a content: its texts, name and tags first, and its filters."""

    content_id: int
    names: tuple[str, ...]
    others: tuple[str, ...]
    tags: tuple[str, ...]
    folder: str

    def holds(self, form: WordForm, *, in_names: bool) -> bool:
        """Say whether one text has the form at the start of a word."""
        end = "" if form.goes_on else " "
        texts = self.names if in_names else (*self.names, *self.others)
        return any(f" {form.text}{end}" in f" {text} " for text in texts)


@pytest.fixture
def stored(small) -> list[Stored]:
    rng = random.Random(5)
    found = []
    for number in range(60):
        name, ocr, description = (
            " ".join(rng.choices(WORDS, k=rng.randint(least, most)))
            for least, most in ((1, 3), (0, 8), (0, 4))
        )
        tags, folder = tuple(rng.sample(TAGS, rng.choice([0, 1, 2]))), rng.choice(FOLDERS)
        content_id = small.add(
            f"{folder}/{name} {number}.png", ocr=ocr, description=description, tags=tags, chunks=()
        )
        names = (f"{name} {number} png", *tags)
        folder_text = f"pictures {folder.replace('/', ' ')}"
        found.append(Stored(content_id, names, (ocr, description, folder_text), tags, folder))
    return found


def some_form(rng: random.Random) -> WordForm:
    words = rng.choices(WORDS, k=rng.choice([1, 2, 2, 2, 3]))
    return WordForm(" ".join(words), goes_on=rng.random() < 0.7)


def some_group(rng: random.Random) -> tuple[WordForm, ...]:
    if rng.random() < 0.7:
        return tuple(some_form(rng) for _ in range(rng.choice([1, 1, 2, 5])))
    rest, goes_on = " ".join(rng.choices(WORDS, k=rng.choice([1, 1, 2]))), rng.random() < 0.7
    return tuple(WordForm(f"{first} {rest}", goes_on) for first in rng.sample(WORDS, rng.choice([2, 5, 9])))


def some_condition(rng: random.Random) -> Condition:
    groups = tuple(some_group(rng) for _ in range(rng.choice([1, 1, 2])))
    filters = rng.choice(["", "", "tag:paper", "folder:memes", "-news", "folder:photos -tag:old"])
    return Condition(groups, parse_query(filters, 100), in_names=rng.random() < 0.3)


def passes(one: Stored, condition: Condition) -> bool:
    query = condition.query
    texts = " | ".join((*one.names, *one.others))
    return (
        set(query.tags) <= set(one.tags)
        and not set(query.excluded_tags) & set(one.tags)
        and all(folder in one.folder.split("/") for folder in query.folders)
        and not any(f" {unit.text} " in f" {texts} " for unit in query.excluded)
    )


def meeting(stored: list[Stored], condition: Condition) -> list[int]:
    return [
        one.content_id
        for one in reversed(stored)
        if passes(one, condition)
        and all(
            any(one.holds(form, in_names=condition.in_names) for form in group) for group in condition.groups
        )
    ]


@pytest.mark.parametrize("pages", [(250, 750), (2, 3), (1,)])
def test_the_newest_are_those_of_reading_every_text(database, stored, monkeypatch, pages):
    monkeypatch.setattr(long_prefixes, "_PAGES", pages)
    rng = random.Random(6)
    num_found = 0
    for _ in range(60):
        with SqliteTextIndex(database).reading() as view:
            for _ in range(4):  # in one view, where answers are put together from earlier ones
                condition, limit = some_condition(rng), rng.choice([1, 3, 1_000])
                expected = meeting(stored, condition)[:limit]
                assert view.newest(condition, limit) == expected, condition
                num_found += len(expected)
    assert num_found > 500


def test_forms_that_were_asked_for_before_are_not_looked_up_again(database, stored, monkeypatch):
    plain, asked = matching.newest_ids, []

    def newest_ids(cursor, condition, limit, offset=0):
        asked.append(condition.groups)
        return plain(cursor, condition, limit, offset)

    monkeypatch.setattr(matching, "newest_ids", newest_ids)
    phrase, other = WordForm("paper of"), WordForm("of paper")
    with SqliteTextIndex(database).reading() as view:
        one = view.newest(Condition(((phrase,),)), 1_000)
        both = view.newest(Condition(((phrase, other, phrase),)), 1_000)
        assert view.newest(Condition(((other, phrase),)), 1_000) == both
    assert one
    assert both == meeting(stored, Condition(((phrase, other),)))
    assert asked == [((phrase,),), ((other,),)]


def test_a_phrase_with_a_common_long_prefix_is_looked_up_by_its_beginning(database, stored, monkeypatch):
    plain, expressions = matching.expression_of, []

    def expression_of(condition):
        expressions.append(plain(condition))
        return expressions[-1]

    monkeypatch.setattr(matching, "expression_of", expression_of)
    condition = Condition(((WordForm("of newspaper", goes_on=True),),))
    several = Condition((tuple(WordForm(f"{word} of news", goes_on=True) for word in WORDS[:5]),))
    with SqliteTextIndex(database).reading() as view:
        assert view.newest(condition, 1_000) == meeting(stored, condition)
        assert view.newest(several, 1_000) == meeting(stored, several)
    firsts = " OR ".join(f'"{word}"' for word in WORDS[:5])
    assert expressions == ['"of news" *', f'({firsts}) AND "of" AND "news" *']


@pytest.mark.parametrize("per_listed", [8, 1])
def test_pages_of_filters_alone_are_those_of_sorting_all(database, stored, monkeypatch, per_listed):
    monkeypatch.setattr(matching, "_PROBED_PER_LISTED", per_listed)
    with SqliteTextIndex(database).reading() as view:
        for filters in ("folder:memes", "-tag:paper", "folder:photos -of", "tag:old tag:news kind:picture"):
            condition = Condition(query=parse_query(filters, 100))
            expected = meeting(stored, condition)
            assert expected
            for sort in (Sort.ADDED, Sort.NEWEST, Sort.NAME):
                everything = view.listed(condition, sort, 1_000)
                assert sorted(everything, reverse=True) == expected
                for offset in range(0, len(expected) + 5, 5):
                    assert view.listed(condition, sort, 5, offset) == everything[offset : offset + 5]
