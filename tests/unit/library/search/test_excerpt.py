from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smallsight.library.search.excerpt import MAX_EXCERPT_CHARS, Highlighter
from smallsight.library.search.query import parse_query


def highlight(query, *texts, corrections=None):
    excerpt = Highlighter(parse_query(query, 1000).units, corrections or {}).best_excerpt(texts)
    return excerpt.text, [excerpt.text[start:end] for start, end in excerpt.highlights]


def test_words_are_highlighted_as_they_are_written():
    text, marked = highlight("fish dont uber", "Selfishness? DON'T swim Über it")
    assert text == "Selfishness? DON'T swim Über it"
    assert marked == ["Selfishness", "DON'T", "Über"]


def test_corrections_phrases_and_quotes():
    assert highlight("frendly", "a friendly one", corrections={"frendly": ["friendly"]})[1] == ["friendly"]
    assert highlight('"hot dog"', "dog hot, hot-dog hot dogs")[1] == ["hot-dog"]
    assert highlight("hot-do", "hot! dogs")[1] == ["hot! dogs"]
    assert highlight('"cat"', "cats cat")[1] == ["cat"]


def test_the_piece_with_most_words_is_shown_of_the_best_text():
    long = "cat " + "filler words " * 40 + "then a cat chases a mouse " + "more filler " * 40
    text, marked = highlight("cat mouse", "only a cat", long)
    assert len(text) <= MAX_EXCERPT_CHARS
    assert marked == ["cat", "mouse"]


def test_without_a_match_the_first_text_is_shown_from_its_start():
    assert highlight("zebra", None, "  ", "first", "second") == ("first", [])
    assert highlight("zebra", None) == ("", [])


@given(st.text("ab '犬é\n", max_size=500), st.lists(st.sampled_from(["a", "b", "ab", "犬", "'", '"a b"'])))
def test_spans_lie_inside_and_do_not_touch(text, words):
    excerpt = Highlighter(parse_query(" ".join(words), 1000).units, {}).best_excerpt([text])
    assert len(excerpt.text) <= MAX_EXCERPT_CHARS
    assert excerpt.text in text
    previous_end = -1
    for start, end in excerpt.highlights:
        assert previous_end < start < end <= len(excerpt.text)
        previous_end = end
