"""The spellings of a quoted phrase in the texts of a library in which spaces were lost."""

from __future__ import annotations

from smallsight.library.search.index_terms import BOUNDARY
from smallsight.library.search.query import Unit
from smallsight.library.search.spaceless import find_spaceless
from smallsight.library.search.text_index import NO_FILTERS, Condition, IndexView, WordForm
from smallsight.library.search.word_forms import neighbours_joined

_MAX_READ = 250  # contents
_MAX_SPELLINGS = 32
_MIN_GLUED = 3  # letters of a first word that is looked for at the end of longer ones


def spellings_without_spaces(view: IndexView, phrase: Unit) -> list[str]:
    """Return the runs of terms in the library that are this phrase with fewer spaces, or with words attached.

    A space lost inside the phrase leaves a term that contains two of its words; one lost before or after it
    leaves a first term that ends, or a last term that starts, with a word of it.
    """
    first, *others = phrase.terms
    forms = [WordForm(phrase.text, goes_on=True)]
    for pair in neighbours_joined(phrase.terms):
        forms += [WordForm(pair, goes_on=True), *map(WordForm, view.terms_containing(pair))]
    glued: list[WordForm] = []
    if len(first) >= _MIN_GLUED:
        ends = (term for term in view.terms_containing(first) if term.endswith(first))
        glued = [WordForm(" ".join([term, *others]), goes_on=True) for term in ends]
    looked_for = [Condition((tuple(group),), NO_FILTERS) for group in (forms, glued) if group]
    holding = {one for condition in looked_for for one in view.newest(condition, _MAX_READ)}
    content_ids = sorted(holding, reverse=True)[:_MAX_READ]
    wanted = "".join(phrase.terms)
    found: dict[str, None] = {}
    for texts in view.texts(content_ids).values():
        for text in f" {BOUNDARY} ".join(texts).split(BOUNDARY):
            terms = text.split()
            for start, end in find_spaceless(terms, wanted):
                found[" ".join(terms[start : end + 1])] = None
    found.pop(phrase.text, None)
    return list(found)[:_MAX_SPELLINGS]
