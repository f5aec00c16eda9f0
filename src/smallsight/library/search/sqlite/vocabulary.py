"""Finds the words of the library that contain a typed word, and those that it may misspell."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from smallsight.library.search.word_list import NO_WORDS, WordList

_MAX_CONTAINING = 128
_MAX_CORRECTIONS = 5
_MAX_CORRECTED_CHARS = 40
_RARE = 2  # contents that hold a misreading
_TIMES_MORE_FREQUENT = 5  # than a rare word as written, for a correction of it to be worth trying


def terms_containing(cursor: sqlite3.Cursor, part: str) -> list[str]:
    """Return at most 128 terms that contain this part after their first letter, the shortest ones.

    For a part of one or two letters any 128 are returned. Two letters are looked up through the trigrams that
    start with them; for one letter all terms are scanned, which is slow.
    """
    if len(part) == 1:
        rows = cursor.execute(
            "SELECT term FROM term WHERE instr(term, ?) > 1 LIMIT ?", (part, _MAX_CONTAINING)
        )
        return [row[0] for row in rows]
    if len(part) == 2:
        return _terms_containing_two_letters(cursor, part)
    rows = cursor.execute(
        """SELECT term FROM term WHERE id IN (SELECT rowid FROM term_trigram WHERE term MATCH ?)
           ORDER BY length(term), term LIMIT ?""",
        (f'"{part}"', _MAX_CONTAINING),
    )
    return [row[0] for row in rows if not row[0].startswith(part)]


def _terms_containing_two_letters(cursor: sqlite3.Cursor, letters: str) -> list[str]:
    trigrams = cursor.execute(
        "SELECT term FROM trigram_vocabulary WHERE term >= ? AND term <= ? LIMIT ?",
        (letters, letters + "\U0010ffff", _MAX_CONTAINING),
    )
    expression = " OR ".join(f'"{row[0]}"' for row in trigrams)
    terms = cursor.execute(
        "SELECT term FROM term WHERE substr(term, -2) = ? LIMIT ?", (letters, _MAX_CONTAINING)
    )
    found = [row[0] for row in terms if row[0] != letters]
    if expression:
        terms = cursor.execute(
            "SELECT term FROM term WHERE id IN (SELECT rowid FROM term_trigram WHERE term MATCH ? LIMIT ?)",
            (expression, 2 * _MAX_CONTAINING),
        )
        found += [row[0] for row in terms if not row[0].startswith(letters)]
    return list(dict.fromkeys(found))[:_MAX_CONTAINING]


def known_terms(cursor: sqlite3.Cursor, terms: Sequence[str]) -> set[str]:
    """Return those of these terms, of two characters or more, that are or were indexed."""
    rows = cursor.execute(
        "SELECT term FROM term WHERE term IN (SELECT value FROM json_each(?))", (json.dumps(list(terms)),)
    )
    return {row[0] for row in rows}


def corrections(
    cursor: sqlite3.Cursor, word: str, num_contents: int, words: WordList = NO_WORDS
) -> list[str]:
    """Return at most 5 terms that word may be a misspelling of: fewest edits first, then most frequent.

    One edit is allowed from 5 letters on, two from 8 on: a word of four letters is one edit away from too
    many other valid words (food, mood). num_contents is how many contents hold word as written;
    a word that some hold is corrected only to much more frequent ones, and a word in the list to none.
    """
    if words.knows(word):
        return []
    near = _near_terms(cursor, word)
    frequencies = _frequencies(cursor, list(near))
    least = _TIMES_MORE_FREQUENT * num_contents
    near = {term: distance for term, distance in near.items() if frequencies.get(term, 0) > least}
    return _likeliest(near, frequencies)


def slips(cursor: sqlite3.Cursor, word: str, num_contents: int, words: WordList = NO_WORDS) -> list[str]:
    """Return at most 5 terms that may be this word, misread or misspelt, though word is spelt right.

    They are rare, and no words of the list. A word that is not in the list either counts as right only if
    many more contents hold it, num_contents, than hold the term.
    """
    is_known = words.knows(word)
    if not is_known and num_contents < _TIMES_MORE_FREQUENT:
        return []
    near = {term: distance for term, distance in _near_terms(cursor, word).items() if not words.knows(term)}
    frequencies = _frequencies(cursor, list(near))
    most = max(num_contents // _TIMES_MORE_FREQUENT, _RARE if is_known else 0)
    near = {term: distance for term, distance in near.items() if 0 < frequencies.get(term, 0) <= most}
    return _likeliest(near, frequencies)


def _near_terms(cursor: sqlite3.Cursor, word: str) -> dict[str, int]:
    """Return the terms within one edit of a word, or two from 8 letters on, and how many edits."""
    if not 5 <= len(word) <= _MAX_CORRECTED_CHARS or not word.isalpha():
        return {}
    max_distance = 1 if len(word) < 8 else 2
    candidates = [term for term in _similar_terms(cursor, word, max_distance) if term != word]
    if not candidates:
        return {}
    from smallsight.library.search.edit_distance import edit_distances  # noqa: PLC0415 - imports numpy

    distances_N = edit_distances(word, candidates, max_distance)
    return {
        term: distance
        for term, distance in zip(candidates, distances_N.tolist(), strict=True)
        if 1 <= distance <= max_distance
    }


def _likeliest(near: dict[str, int], frequencies: dict[str, int]) -> list[str]:
    """Return the terms with the fewest edits, the most frequent first."""
    if not near:
        return []
    fewest = min(near.values())
    ordered = sorted(
        (term for term, distance in near.items() if distance == fewest),
        key=lambda term: (-frequencies[term], term),
    )
    return ordered[:_MAX_CORRECTIONS]


def _similar_terms(cursor: sqlite3.Cursor, word: str, max_distance: int) -> list[str]:
    """Return candidates that include the terms within max_distance edits.

    One edit leaves the first or the last two letters unchanged. Two edits at both ends leave the letters
    between unchanged: such words have eight letters or more, so trigrams find them. Only words of eight
    letters with the second and third swapped as well as the sixth and seventh are missed.
    """
    statement = """
        SELECT term FROM term WHERE substr(term, 1, 2) = :head AND length(term) BETWEEN :least AND :most
        UNION SELECT term FROM term
        WHERE substr(term, -2) = :tail AND length(term) BETWEEN :least AND :most"""
    if max_distance == 2:
        statement += """
        UNION SELECT term FROM term WHERE id IN (SELECT rowid FROM term_trigram WHERE term MATCH :middle)
        AND length(term) BETWEEN :least AND :most"""
    middle = f'"{word[3:-3]}"' if len(word) > 8 else f'"{word[3:-2]}" OR "{word[2:-3]}"'
    parameters = {
        "head": word[:2],
        "tail": word[-2:],
        "middle": middle,
        "least": len(word) - max_distance,
        "most": len(word) + max_distance,
    }
    return [row[0] for row in cursor.execute(statement, parameters)]


def _frequencies(cursor: sqlite3.Cursor, terms: list[str]) -> dict[str, int]:
    rows = cursor.execute(
        "SELECT term, doc FROM search_vocabulary WHERE term IN (SELECT value FROM json_each(?))",
        (json.dumps(terms),),
    )
    return dict(rows.fetchall())
