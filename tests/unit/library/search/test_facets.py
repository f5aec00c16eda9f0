"""Filters by date, camera, kind and state, and every order, in searches with and without words."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from smallsight.errors import NotInLibraryError
from smallsight.library.schema import content, picture
from smallsight.library.search.kinds import Kind, kind_of
from smallsight.library.search.searcher import Mode
from smallsight.library.search.sqlite.facets import name_key, refresh_index
from smallsight.library.search.text_index import Sort

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001


def wall(text: str) -> float:
    return (datetime.fromisoformat(text) - EPOCH) / timedelta(seconds=1)


@pytest.fixture
def add(small):
    """Add a content with facts, and return its id."""

    def add_one(
        taken: str, path: str = "", *, seen_at_s: float = 0.0, facts: dict | None = None, **how
    ) -> int:
        content_id = small.add(path, **how)
        with small.database.writing() as connection:
            values = {"taken_wall_s": wall(taken), "taken_origin": "exif", **(facts or {})}
            connection.execute(content.update().where(content.c.id == content_id).values(**values))
            connection.execute(
                picture.update().where(picture.c.content_id == content_id).values(seen_at_s=seen_at_s)
            )
            refresh_index(connection, [content_id])
        return content_id

    return add_one


@pytest.fixture
def album(add) -> dict[str, int]:
    return {
        "cat": add("2023-05-01", ocr="cat on a roof", tags=["pets"], facts={"camera": "Google Pixel 8"}),
        "dog": add("2023-05-31T23:59:59.999", description="cat and dog", facts={"camera": "NIKON D90"}),
        "gif": add("2023-08-01", ocr="cat dance", facts={"format": "GIF", "num_frames": 9}),
        "scan": add("1953-12-31T12:00", facts={"format": "TIFF", "num_frames": 3}),
        "none": add("2024-02-29T10:00"),
    }


QUERIES = [
    ("", "none gif dog cat scan"),
    ("before:2023-05", "scan"),
    ("before:2023-05-31", "cat scan"),
    ("after:2023-08", "none gif"),
    ("after:2023-05 before:2023-08", "dog cat"),
    ("after:2023-05-31 before:2023-06-01", "dog"),
    ("year:2023", "gif dog cat"),
    ("year:2023 year:1953", "gif dog cat scan"),
    ("-year:2023", "none scan"),
    ("on:2023-05", "dog cat"),
    ("on:2023-05-31", "dog"),
    ("-on:2023-05 -before:2000", "none gif"),
    ("camera:pixel", "cat"),
    ('camera:"8 google"', "cat"),
    ("camera:pix", ""),
    ("-camera:pixel", "none gif dog scan"),
    ('-camera:"pixel 7"', "none gif dog cat scan"),
    ("kind:photo", "dog cat"),
    ("kind:animation kind:document", "gif scan"),
    ("-kind:photo -kind:document", "none gif"),
    ("is:described", "dog"),
    ("is:undescribed has:text", "gif cat"),
    ("-has:text is:untagged", "none dog scan"),
    ("is:tagged", "cat"),
    ("kind:photo -dog", "cat"),
    ("year:2023 -roof", "gif dog"),
    ("tag:pets year:1953", ""),
    ("folder:pictures year:1953", "scan"),
    ("cat", "gif dog cat"),
    ("cat year:2023 kind:photo", "dog cat"),
    ("cat -year:2023", ""),
]


def test_filters_alone_and_with_words(album, words_only, searcher):
    by_id = {content_id: name for name, content_id in album.items()}
    for query, names in QUERIES:
        for one in (words_only, searcher):
            result = one.search(query, sort=Sort.NEWEST)
            found = [by_id[hit.content_id] for hit in result.hits]
            assert " ".join(found) == names, query
            assert result.total == len(found), query
            assert set(one.find_all(query)) == {hit.content_id for hit in result.hits}, query


def test_a_search_by_meaning_passes_the_filters(album, searcher):
    found = searcher.search("cat roof", mode=Mode.SEMANTIC).hits
    assert found[0].content_id == album["cat"]
    kept = searcher.search("cat roof kind:animation", mode=Mode.SEMANTIC).hits
    assert [hit.content_id for hit in kept] == [album["gif"]]


def test_pictures_like_another_pass_the_filters_in_every_order(album, searcher, small):
    ids = [album[name] for name in ("dog", "gif")]
    with small.database.writing() as connection:
        looks = content.update().where(content.c.id.in_([album["cat"], *ids]))
        connection.execute(looks.values(phash=5, dhash=5))
    assert {hit.content_id for hit in searcher.similar(album["cat"]).hits} == set(ids)
    kept = searcher.similar(album["cat"], words="kind:photo")
    assert [hit.content_id for hit in kept.hits] == [album["dog"]]
    for sort in (Sort.NEWEST, Sort.OLDEST):
        found = [hit.content_id for hit in searcher.similar(album["cat"], sort=sort).hits]
        assert found == (ids[::-1] if sort is Sort.NEWEST else ids)
    with pytest.raises(NotInLibraryError):
        searcher.similar(99)


def test_every_order(add, words_only, found):
    first = add("2023-01-01", "img 10.png", seen_at_s=3, facts={"size_bytes": 5}, ocr="cat")
    second = add("2024-01-01", "IMG 9.png", seen_at_s=1, facts={"size_bytes": 9}, ocr="cat cat")
    third = add("2022-01-01", "a.png", seen_at_s=2, facts={"size_bytes": 7}, ocr="dog cat")
    expected = {
        Sort.NEWEST: [second, first, third],
        Sort.OLDEST: [third, first, second],
        Sort.NAME: [third, second, first],
        Sort.SIZE: [second, third, first],
        Sort.ADDED: [first, third, second],
    }
    for sort, ids in expected.items():
        for query in ("", "cat", "-bird"):
            assert found(words_only, query, sort=sort) == ids
            assert found(words_only, query, sort=sort, limit=1, offset=1) == ids[1:2]
            assert words_only.find_all(query, sort=sort) == ids
    assert found(words_only, "") == expected[Sort.NEWEST]
    assert sorted(found(words_only, "cat")) == sorted(expected[Sort.NEWEST])


def test_a_hit_says_its_date_camera_and_kind(add, words_only):
    facts = {
        "camera": "Canon EOS R5",
        "format": "JPEG",
        "num_frames": 1,
        "taken_offset_min": -210,
        "size_bytes": 8,
    }
    add("2023-05-03T10:11:12", facts=facts)
    (hit,) = words_only.search("").hits
    assert (hit.date_wall_s, hit.date_offset_min, hit.date_origin) == (
        wall("2023-05-03T10:11:12"),
        -210,
        "exif",
    )
    assert (hit.camera, hit.kind, hit.format) == ("Canon EOS R5", "photo", "JPEG")
    assert (hit.num_frames, hit.size_bytes) == (1, 8)


def test_names_are_sorted_by_their_numbers():
    names = ["b.png", "IMG 2.png", "img 10.png", "a 2.png", "A 10.png", "img 002 b.png"]
    ordered = ["a 2.png", "A 10.png", "b.png", "img 002 b.png", "IMG 2.png", "img 10.png"]
    assert sorted(names, key=name_key) == ordered
    assert name_key("1" * 40) > name_key("9")


@pytest.mark.parametrize(
    ("picture_format", "num_frames", "has_camera", "kind"),
    [
        ("JPEG", 1, True, Kind.PHOTO),
        ("JPEG", 2, True, Kind.PHOTO),  # a preview beside the photo
        ("HEIF", 5, True, Kind.PHOTO),
        ("HEIF", 5, False, Kind.DOCUMENT),
        ("TIFF", 2, True, Kind.DOCUMENT),
        ("TIFF", 1, True, Kind.PHOTO),
        ("GIF", 2, True, Kind.ANIMATION),
        ("GIF", 1, False, Kind.PICTURE),
        (None, None, False, Kind.PICTURE),
    ],
)
def test_the_kind_of_a_content(picture_format, num_frames, has_camera, kind):
    assert kind_of(picture_format, num_frames, has_camera=has_camera) is kind


def test_the_newest_page_reads_the_index_and_sorts_nothing(database):
    with database.cursor() as cursor:
        for order in ("date_wall_s DESC, content_id DESC", "date_wall_s, content_id", "name_key, content_id"):
            plan = cursor.execute(
                f"EXPLAIN QUERY PLAN SELECT content_id FROM facet WHERE 1 ORDER BY {order} LIMIT 9 OFFSET 9"
            ).fetchall()
            assert len(plan) == 1
            assert "USING COVERING INDEX" in plan[0][3]


def test_months_are_counted_after_any_changes(database, add, small):
    rng = random.Random(4)
    ids = [add(f"20{rng.randint(10, 12)}-0{rng.randint(1, 3)}-01") for _ in range(12)]
    for content_id in rng.sample(ids, 4):
        small.vanish(content_id)
    with database.writing() as connection:
        for content_id in rng.sample(ids, 5):
            values = {"taken_wall_s": wall(f"2013-0{rng.randint(1, 3)}-05")}
            connection.execute(content.update().where(content.c.id == content_id).values(**values))
            refresh_index(connection, [content_id])
        connection.execute(content.update().where(content.c.id.in_(ids[:2])).values(camera="x"))
        refresh_index(connection, ids)
    with database.cursor() as cursor:
        counted = cursor.execute("SELECT month, count(*) FROM facet GROUP BY month").fetchall()
        assert cursor.execute("SELECT * FROM month_count").fetchall() == counted
        assert cursor.execute("SELECT count(*) FROM facet").fetchone()[0] == 8
