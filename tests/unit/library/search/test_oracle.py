"""Searches of small random libraries, compared with reading every picture's texts one by one."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from smallsight.library.database import Database
from smallsight.library.search.function_words import FUNCTION_WORDS
from smallsight.library.search.ranking import Tier
from smallsight.library.search.searcher import Mode
from smallsight.library.search.word_forms import inflections
from smallsight.settings import Settings

WORDS = "cat cats category scat dog dogma hotdog fish selfish fishing bird friendly from form 犬 кот".split()
TAGS = ["cat", "so wow", "sea"]
FOLDERS = ["memes", "memes/cats", "photos"]


@dataclass
class Document:
    """What the oracle knows of one content."""

    fields: list[list[str]]  # words of each text
    tags: list[str]
    folder: str
    is_present: bool = True

    def holds(self, words: list[str], fits) -> bool:
        """Tell whether these words stand side by side in one text; the last has to fit only."""
        return any(
            field[at : at + len(words) - 1] == words[:-1] and fits(field[at + len(words) - 1], words[-1])
            for field in self.fields
            for at in range(len(field) - len(words) + 1)
        )


def tier_of(document: Document, units: list[list[str]], corrections: dict[str, list[str]]) -> Tier | None:
    """Return how well all units match, by definition; None when one does not."""
    tiers = []
    counted = [unit for unit in units if len(unit) > 1 or unit[0] not in FUNCTION_WORDS]
    for unit in counted or units:
        tests = [
            (Tier.EXACT, lambda word, wanted: word == wanted),
            (Tier.PREFIX, lambda word, wanted: word.startswith(wanted)),
        ]
        if len(unit) == 1:
            tests += [
                (Tier.PREFIX, lambda word, wanted: word in inflections(wanted)),
                (Tier.SUBSTRING, lambda word, wanted: wanted in word),
                (Tier.TYPO, lambda word, wanted: word in corrections.get(wanted, ())),
            ]
        fitting = [tier for tier, fits in tests if document.holds(unit, fits)]
        if not fitting:
            return None
        tiers.append(min(fitting))
    return max(tiers, default=Tier.EXACT)


@pytest.fixture(scope="module", params=range(4))
def world(request, tmp_path_factory, make_small, make_searcher):
    rng = random.Random(request.param)
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    documents: dict[int, Document] = {}
    with Database.open_for_writing(settings.database_path) as database:
        small = make_small(database)
        for number in range(40):
            ocr, description, name = (
                [rng.choice(WORDS) for _ in range(rng.randint(least, most))]
                for least, most in ((0, 5), (0, 3), (1, 2))
            )
            tags = rng.sample(TAGS, rng.choice([0, 0, 1, 2]))
            folder = rng.choice(FOLDERS)
            content_id = small.add(
                f"{folder}/{' '.join(name)} {number}.png",
                ocr=" ".join(ocr),
                description=" ".join(description),
                tags=tags,
            )
            fields = [ocr, description, [*name, str(number), "png"], ["pictures", *folder.split("/")]]
            documents[content_id] = Document([*fields, *(tag.split() for tag in tags)], tags, folder)
            if rng.random() < 0.1:
                small.vanish(content_id)
                documents[content_id].is_present = False
        yield documents, make_searcher(database, settings)


UNITS = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=2)
    | st.sampled_from([["ateg"], ["ish"], ["frendly"], ["ogm"]]),
    max_size=3,
    unique_by=tuple,
)
FILTERS = st.fixed_dictionaries(
    {
        "tags": st.lists(st.sampled_from(TAGS), max_size=1),
        "excluded_tags": st.lists(st.sampled_from(TAGS), max_size=1),
        "folders": st.lists(st.sampled_from(["memes", "cats", "photos", "memes/cats"]), max_size=1),
        "excluded": st.lists(st.sampled_from(WORDS), max_size=1),
    }
)


def written(units, filters):
    parts = ["-".join(unit) for unit in units]  # joined words are looked for side by side
    parts += [f'tag:"{name}"' for name in filters["tags"]]
    parts += [f'-tag:"{name}"' for name in filters["excluded_tags"]]
    parts += [f"folder:{name}" for name in filters["folders"]]
    parts += [f"-{word}" for word in filters["excluded"]]
    return " ".join(parts)


def passes(document: Document, filters) -> bool:
    path = f"/pictures/{document.folder}/"
    return (
        document.is_present
        and all(name in document.tags for name in filters["tags"])
        and not any(name in document.tags for name in filters["excluded_tags"])
        and all(f"/{name}/" in path for name in filters["folders"])
        and not any(word in field for word in filters["excluded"] for field in document.fields)
    )


@examples(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(units=UNITS, filters=FILTERS)
def test_keyword_search_finds_what_reading_everything_finds(world, units, filters):
    documents, searcher = world
    result = searcher.search(written(units, filters), mode=Mode.KEYWORD, limit=1_000)
    ids = [hit.content_id for hit in result.hits]
    passing = {content_id for content_id, document in documents.items() if passes(document, filters)}
    assert set(ids) <= passing, "a hit does not pass the filters"
    assert len(ids) == len(set(ids)) == result.total
    tiers = {content_id: tier_of(documents[content_id], units, result.corrections) for content_id in passing}
    matching = {content_id for content_id, tier in tiers.items() if tier is not None}
    assert matching <= set(ids), "a picture that holds all words was not found"
    if len(units) < 2:
        assert matching == set(ids), "a hit holds none of the words"
    order = [Tier.PARTIAL if tiers[content_id] is None else tiers[content_id] for content_id in ids]
    assert order == sorted(order), "a weaker kind of match stands before a better one"
    if not units:
        assert ids == sorted(passing, reverse=True)


@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(units=UNITS, filters=FILTERS, page=st.integers(1, 9))
def test_fused_search_keeps_filters_all_words_first_and_pages_together(world, units, filters, page):
    documents, searcher = world
    query = written(units, filters)
    result = searcher.search(query, limit=1_000)
    ids = [hit.content_id for hit in result.hits]
    assert all(passes(documents[content_id], filters) for content_id in ids)
    exact = {
        content_id
        for content_id in documents
        if passes(documents[content_id], filters) and tier_of(documents[content_id], units, {}) is Tier.EXACT
    }
    if units:
        unmistakable = {hit.content_id for hit in result.hits if hit.similarity and hit.similarity >= 0.6}
        leading = exact | unmistakable
        assert set(ids[: len(leading)]) == leading
    pages = [
        hit.content_id
        for offset in range(0, len(ids) + page, page)
        for hit in searcher.search(query, limit=page, offset=offset).hits
    ]
    assert pages == ids
