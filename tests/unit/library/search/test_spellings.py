"""What a person types and what stands in the picture, spelt otherwise."""

from __future__ import annotations

import pytest

from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.search.word_list import WordList

WORDS = """passport password contract contact score core store party parts throw threw help sign want upload
    upgrade grade friend microsoft berlin merlin""".split()


@pytest.fixture
def spelling(database, settings):
    """A searcher by words that knows how some are spelt."""
    return Searcher(SqliteTextIndex(database, words=WordList(lambda: WORDS)), settings)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("SO I TOLDHIMTOCALLME BACK", '"call me"'),
        ("whatwere you\ndoingthepast", '"what were you doing"'),
        ("he askedme why", '"asked me why"'),
        ("THISIS FINE", '"this is fine"'),
        ("this isfine", '"this is fine"'),
        ("everythingiscallme", '"call me"'),
        ("THIS IS FINE", '"this is fine"'),
    ],
)
@pytest.mark.parametrize("mode", [Mode.FUSED, Mode.KEYWORD])
def test_a_phrase_is_found_where_spaces_were_lost(small, searcher, found, mode, text, query):
    one = small.add(ocr=text)
    small.add(ocr="call him and ask me what is fine for you")
    result = searcher.search(query, mode=mode)
    assert [hit.content_id for hit in result.hits] == [one]
    assert result.hits[0].highlights


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("hot dogs", '"hot dog"'),
        ("this is finest", '"this is fine"'),
        ("call mercy", '"call me"'),
        ("me call", '"call me"'),
        ("call\nhim or me", '"call me"'),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
def test_a_phrase_is_not_found_in_other_words_by_any_mode(small, searcher, found, mode, text, query):
    small.add(ocr=text)
    assert found(searcher, query, mode=mode) == []


def test_a_quoted_phrase_is_never_dropped_for_the_other_words(small, words_only, found):
    small.add(ocr="cats and dogs")
    one = small.add(ocr="the big dog")
    assert found(words_only, '"big dog" cats') == [one]
    assert found(words_only, '"small dog" cats') == []


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (text, query)
        for pair in [
            ("e-mail", "email"),
            ("Wi-Fi", "wifi"),
            ("POL-358", "pol358"),
            ("rock'n'roll", "rocknroll"),
            ("T-shirt", "tshirt"),
            ("USB-C", "usbc"),
            ("state-of-the-art", "stateoftheart"),
            ("screen shot", "screenshot"),
        ]
        for text, query in (pair, pair[::-1])
    ],
)
def test_joined_and_hyphenated_spellings_find_each_other(small, words_only, text, query):
    one = small.add(ocr=f"see the {text} here")
    small.add(ocr="something else")
    (hit,) = words_only.search(query).hits
    assert hit.content_id == one
    assert hit.highlights


def test_parted_spellings_are_not_made_of_small_words(small, words_only, found):
    small.add(ocr="not able to")
    assert found(words_only, "notable") == []


def test_signs_of_programming_languages_count(small, words_only, found):
    plus = small.add(ocr="learn C++ fast")
    sharp = small.add(ocr="learn C# fast")
    plain = small.add(ocr="vitamin C tablets")
    assert found(words_only, "c++") == [plus]
    assert found(words_only, "C#") == [sharp]
    assert found(words_only, '"c"') == [plain]
    assert found(words_only, "c")[0] == plain


def test_inflections_find_each_other(small, words_only, found):
    one = small.add(ocr="a sign we want")
    two = small.add(ocr="she carried pies, running")
    assert found(words_only, "signs") == [one]
    assert found(words_only, "wants") == [one]
    assert found(words_only, "carry pie run") == [two]


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ("passport", "password"),
        ("contract", "contact"),
        ("score", "core store"),
        ("party", "parts"),
        ("throw", "threw"),
        ("uploading", "upgrading"),
        ("berlin", "merlin"),
    ],
)
def test_a_well_spelt_word_is_not_corrected(small, spelling, query, other):
    small.add(ocr=other)
    result = spelling.search(query)
    assert [hit for hit in result.hits if "typo" in hit.found_by] == []
    assert result.corrections == {}


def test_a_misreading_is_found_beside_the_right_word(small, spelling):
    slip = small.add(ocr="a hoodie of Micrasoft")
    right = small.add(ocr="Microsoft Word")
    result = spelling.search("microsoft")
    assert [(hit.content_id, hit.found_by) for hit in result.hits] == [
        (right, ("keyword",)),
        (slip, ("typo",)),
    ]
    assert result.corrections == {}
    assert result.hits[1].highlights == ((12, 21),)


def test_a_misspelt_word_is_corrected_still(small, spelling, found):
    one = small.add(ocr="my friend")
    assert spelling.search("freind").corrections == {"freind": ["friend"]}
    assert found(spelling, "freind") == [one]


def test_function_words_do_not_count_outside_quotes(small, words_only, found):
    small.add(ocr="to be or not to be, in the end")
    small.add(ocr="not in the mood to do it")
    one = small.add(ocr="rubbish")
    assert found(words_only, "do not throw rubbish in here") == [one]
    assert found(words_only, "the rubbish") == [one]
    assert found(words_only, "to be or not to be")[0] == one - 2
    assert len(found(words_only, "in the")) == 2
    assert found(words_only, '"the" end')[0] == one - 2


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("سال ۱۴۰۳", "1403"),
        ("room 123", "۱۲۳"),
        ("कमरा १२३", "123"),
        ("ห้อง ๑๒๓", "123"),
        ("\u0639\u0644\u064a", "\u0639\u0644\u06cc"),  # Arabic and Persian yeh
        ("\u06a9\u062a\u0627\u0628", "\u0643\u062a\u0627\u0628"),  # kaf
        ("\u0645\u062f\u0631\u0633\u0629", "\u0645\u062f\u0631\u0633\u0647"),  # teh marbuta, heh
        ("\u0623\u062d\u0645\u062f", "\u0627\u062d\u0645\u062f"),  # alef with and without hamza
    ],
)
def test_digits_and_letter_forms_of_other_keyboards(small, words_only, found, text, query):
    one = small.add(ocr=text)
    assert found(words_only, query) == [one]
    assert found(words_only, f'"{query}"') == [one]


def test_it_is_known_whether_anything_is_described(small, words_only):
    small.add(ocr="cat")
    assert not words_only.search("dog").has_descriptions
    small.add(description="a dog")
    assert words_only.search("cat").has_descriptions
