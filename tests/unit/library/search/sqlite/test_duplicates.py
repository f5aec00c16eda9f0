from __future__ import annotations

import random
from pathlib import Path

import pytest

from smallsight.errors import NotInLibraryError
from smallsight.library.search.sqlite.duplicates import duplicates, near_duplicates


def signed(number):
    return number - 2**64 if number >= 2**63 else number


def flipped(number, *bits):
    for bit in bits:
        number ^= 1 << bit
    return number


def hashes(phash, dhash=0):
    return signed(phash), signed(dhash)


LOOK = 0xF0F0_1234_5678_9ABC


def test_near_duplicates_need_both_hashes_and_do_not_chain(small, database):
    first = small.add(hashes=hashes(LOOK, LOOK))
    near = small.add(hashes=hashes(flipped(LOOK, 0, 63), flipped(LOOK, 5)))
    further = small.add(hashes=hashes(flipped(LOOK, 0, 63, 1, 2), LOOK))
    small.add(hashes=hashes(LOOK, flipped(LOOK, *range(20))))
    same = small.add(hashes=hashes(LOOK, LOOK))
    gone = small.add(hashes=hashes(LOOK, LOOK))
    small.add()
    small.vanish(gone)
    assert near_duplicates(database, 2) == [(first, near, same)]
    assert near_duplicates(database, 4) == [(first, near, further, same)]
    assert near_duplicates(database, 0) == [(first, same)]


@pytest.mark.parametrize("max_bits", [0, 3, 6, 20])
def test_groups_are_those_of_comparing_all_with_all(small, database, max_bits):
    rng = random.Random(max_bits)
    looks = [rng.getrandbits(64) for _ in range(6)]
    known = {}
    for _ in range(40):
        look = rng.choice(looks)
        pair = tuple(flipped(look, *rng.sample(range(64), rng.randint(0, 5))) for _ in range(2))
        known[small.add(hashes=hashes(*pair))] = pair
    grouped, expected = set(), []
    for one, pair in known.items():
        if one in grouped:
            continue
        group = [
            other
            for other, other_pair in known.items()
            if other not in grouped
            and all((a ^ b).bit_count() <= max_bits for a, b in zip(pair, other_pair, strict=True))
        ]
        grouped.update(group)
        if len(group) > 1:
            expected.append(tuple(group))
    assert near_duplicates(database, max_bits) == expected


def test_duplicates_are_present_files_with_the_same_bytes(small, database):
    one = small.add("a.png")
    small.add_file(one, "sub/b.png")
    two = small.add("c.png")
    small.add_file(two, "d.png", root="/elsewhere")
    small.vanish(two)
    small.add("e.png")
    (found,) = duplicates(database)
    assert found.content_id == one
    assert found.paths == (Path("/pictures/a.png"), Path("/pictures/sub/b.png"))


def test_similar_pictures_then_similar_texts(small, searcher):
    one = small.add(hashes=hashes(LOOK, LOOK), ocr="a friendly shark swims")
    text = small.add(hashes=hashes(~LOOK & (2**64 - 1), 0), ocr="one friendly shark swam")
    far = small.add(hashes=hashes(flipped(LOOK, *range(8)), LOOK))
    near = small.add(hashes=hashes(flipped(LOOK, 1), LOOK), ocr="friendly shark swims")
    gone = small.add(hashes=hashes(LOOK, LOOK), ocr="a friendly shark swims")
    small.add()
    small.vanish(gone)
    found = searcher.similar(one, limit=10)
    hits = found.hits
    assert [hit.content_id for hit in hits] == [near, far, text]
    assert hits[0].found_by == ("similar_picture", "similar_text")
    assert hits[1].found_by == ("similar_picture",)
    assert hits[2].found_by == ("similar_text",)
    assert hits[2].similarity > 0.5
    assert [hit.content_id for hit in searcher.similar(one, limit=1).hits] == [near]
    assert (found.total, searcher.similar(one, limit=1).total) == (3, 3)
    assert [hit.content_id for hit in searcher.similar(one, words="swam").hits] == [text]
    assert searcher.similar(one, words="penguin").hits == ()


def test_similar_to_nothing_in_the_library(small, searcher):
    with pytest.raises(NotInLibraryError, match="id 7"):
        searcher.similar(7, limit=3)
    gone = small.add()
    small.vanish(gone)
    with pytest.raises(NotInLibraryError):
        searcher.similar(gone, limit=3)


def test_memes_from_one_template_are_apart_and_their_copies_together(small, database):
    def add(text):
        return small.add(ocr=text, hashes=hashes(LOOK, LOOK))

    cats, dogs = add("I LOVE MY CAT\nMORE THAN PIZZA"), add("I LOVE MY DOG\nMORE THAN PIZZA")
    blank = add(None)
    dogs_again, cats_again = add("I LOVE MYDOG\nMORETHAN PIZZA"), add("I LOVE MY CAT\nMORETHANPIZZA")
    add("ONE DOES NOT SIMPLY")
    assert near_duplicates(database, 6) == [(cats, blank, cats_again), (dogs, dogs_again)]
