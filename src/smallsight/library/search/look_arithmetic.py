"""Adds words to the look of a picture, and takes words away: ``beach.jpg +sunset -people``.

Pictures differ far more from one another in how near they are to a picture than in how near they are to
words, so that a plain sum of vectors would follow the picture alone. Each vector is therefore divided by the
standard deviation of its similarities to the library's pictures; then each counts as much as any other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smallsight.errors import NotEmbeddedError
from smallsight.library.search.likeness import Likeness
from smallsight.library.search.looks import OpenPictureWords, PictureWords
from smallsight.library.search.query import Query
from smallsight.library.search.text_index import IndexView

_FEWEST_PICTURES, _SAMPLED_PICTURES = 20, 2_048


def with_words(
    view: IndexView, likeness: Likeness, query: Query, open_words: OpenPictureWords | None
) -> Likeness:
    """Return the likeness with its look changed by the words of the query that have a sign.

    Without vectors of pictures, words with a minus only leave out contents that hold them, as in every
    search; words with a plus raise NotEmbeddedError.
    """
    if not query.plus and not query.minus:
        return likeness
    try:
        look_D, words = _comparable(view, likeness, open_words)
    except NotEmbeddedError:
        if query.plus:
            raise
        return likeness
    vectors_WD = words.embed_texts([*query.plus, *query.minus])
    signs_W = np.array([1.0] * len(query.plus) + [-1.0] * len(query.minus), np.float32)
    sample_ND = view.looks_sample(words.key, _SAMPLED_PICTURES)
    changed_D = combined(look_D, vectors_WD, signs_W, sample_ND)
    return replace(likeness, look=changed_D, is_changed=True)


def combined(
    look_D: np.ndarray, vectors_WD: np.ndarray, signs_W: np.ndarray, sample_ND: np.ndarray
) -> np.ndarray:
    """Return the unit vector of a picture's vector plus and minus those of words."""
    all_VD = np.concatenate([look_D[None], vectors_WD])
    weights_V = np.concatenate([np.ones(1, np.float32), signs_W])
    if len(sample_ND) >= _FEWEST_PICTURES:
        weights_V = weights_V / np.maximum((sample_ND @ all_VD.T).std(axis=0), 1e-6)
    sum_D = weights_V @ all_VD
    length = float(np.linalg.norm(sum_D))
    return look_D if length == 0 else np.asarray(sum_D / length, np.float32)


def _comparable(
    view: IndexView, likeness: Likeness, open_words: OpenPictureWords | None
) -> tuple[np.ndarray, PictureWords]:
    """Return the picture's vector, and the model that made it; raises NotEmbeddedError."""
    if view.look_key() is None:
        raise NotEmbeddedError(
            "No picture of the library is embedded, so that words cannot be added to a picture.",
            hint="`smallsight index --fast` embeds them; `smallsight models embedding` lists the models.",
        )
    words = None if open_words is None else open_words()
    if words is None:
        raise NotEmbeddedError(
            "The model that embedded the library's pictures cannot be used, so that words cannot be added.",
            hint="`smallsight models embedding` says which models are here.",
        )
    if likeness.look is None:
        raise NotEmbeddedError(
            "This picture is not embedded, so that words cannot be added to it.",
            hint="`smallsight index --fast` embeds what is missing.",
        )
    if {likeness.look_key, view.look_key()} != {words.key}:
        raise NotEmbeddedError(
            "The library's pictures were embedded by another model than the one in use.",
            hint="`smallsight index --fast` embeds them again.",
        )
    return likeness.look, words
