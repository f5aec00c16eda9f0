"""The scale on vectors as trained models have them: both kinds far apart, some pictures near to all."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.library.search.everyday import EVERYDAY_TEXTS
from smallsight.library.search.look_scale import LookScale, measured
from smallsight.library.search.text_index import Neighbour

DIMENSIONS = 128
RELATED = 0.35  # how much of a picture's own part is that of a word that it shows


class Space:
    """Words and pictures around two centres, as contrastive models have them."""

    def __init__(self, seed: int = 0, *, scale: float = 1.0) -> None:
        self._random = np.random.default_rng(seed)
        self._centres = _unit(self._random.standard_normal((2, DIMENSIONS)))
        self._scale = scale

    def words(self, number: int) -> np.ndarray:
        own = _unit(self._random.standard_normal((number, DIMENSIONS)))
        return _unit(self._centres[0] + self._scale * own)

    def pictures(self, words_ND: np.ndarray, related: float = RELATED) -> np.ndarray:
        """Return a picture for each word that it shows; some are nearer to all words than others."""
        own = _unit(words_ND - self._centres[0])
        noise = _unit(self._random.standard_normal(own.shape))
        pull = self._random.uniform(0, 0.5, (len(own), 1))
        return _unit(self._centres[1] + pull * self._centres[0] + related * own + (1 - related) * noise)


def _unit(vectors_ND: np.ndarray) -> np.ndarray:
    return (vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)).astype(np.float32)


def shown(scale: LookScale, query_D: np.ndarray, pictures_ND: np.ndarray) -> list[int]:
    near = [Neighbour(row, 0.0, row) for row in range(len(pictures_ND))]
    found = scale.shown(query_D, near, dict(enumerate(pictures_ND)), len(pictures_ND))
    return [one.content_id for one in found]


@pytest.mark.parametrize("model", [0, 1, 2])
@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_words_for_what_is_not_there_find_nothing_in_nine_of_ten_searches(model: int, spread: float):
    space = Space(model, scale=spread)
    pictures_ND = space.pictures(space.words(600))
    scale = measured(space.words(180), pictures_ND, len(pictures_ND))
    answers = [shown(scale, query_D, pictures_ND) for query_D in space.words(200)]
    assert sum(bool(found) for found in answers) <= 0.2 * len(answers)


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_words_for_what_is_there_find_it_whatever_the_cosines_of_the_model_are(spread: float):
    space = Space(7, scale=spread)
    present = space.words(60)
    pictures_ND = space.pictures(np.repeat(present, 10, axis=0), related=0.6)
    scale = measured(space.words(180), pictures_ND, len(pictures_ND))
    found = [shown(scale, query_D, pictures_ND) for query_D in present]
    right = [sum(row // 10 == word for row in rows) for word, rows in enumerate(found)]
    wrong = [len(rows) - number for rows, number in zip(found, right, strict=True)]
    assert np.mean(right) > 8
    assert np.mean(wrong) < 3


def test_a_library_in_which_everything_shows_the_same_is_still_found():
    space = Space(3)
    [owl, bicycle] = space.words(2)
    pictures_ND = space.pictures(np.repeat(owl[None], 300, axis=0), related=0.6)
    scale = measured(space.words(180), pictures_ND, 300)
    assert len(shown(scale, owl, pictures_ND)) > 250
    assert len(shown(scale, bicycle, pictures_ND)) <= 2


def test_a_bank_that_says_nothing_about_a_picture_gives_it_no_score():
    bank_BD = np.tile(np.eye(4, dtype=np.float32)[0], (len(EVERYDAY_TEXTS), 1))
    scale = measured(bank_BD, np.eye(4, dtype=np.float32), 4)
    assert np.isfinite(scale.scores(bank_BD[0], np.eye(4, dtype=np.float32))).all()
    assert np.array_equal(scale.direction(bank_BD[0]), bank_BD[0])


def test_the_everyday_words_are_distinct_and_short():
    assert len(EVERYDAY_TEXTS) == len(set(EVERYDAY_TEXTS)) > 150
    assert max(map(len, EVERYDAY_TEXTS)) < 30
