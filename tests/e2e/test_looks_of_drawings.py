"""The scale and the arithmetic of looks with the trained model of drawings, where the package has one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smallsight as package
from smallsight.library.search.everyday import EVERYDAY_TEXTS
from smallsight.library.search.look_arithmetic import combined
from smallsight.library.search.look_scale import LookScale, measured
from smallsight.library.search.text_index import Neighbour
from smallsight.settings import Settings

MODEL = "Smallsight-tiny-looks"
NUM_DRAWINGS = 150
UNKNOWN = ("zyxwv", "quantum chromodynamics", "my passport", "mortgage")

look_texts = pytest.importorskip("training.look_texts", reason="no model of drawings is trained")
training_scenes = pytest.importorskip("training.scenes")
training_vocabulary = pytest.importorskip("training.vocabulary")
look_pictures = pytest.importorskip("training.look_pictures")
evaluate = pytest.importorskip("training.evaluate")

pytestmark = pytest.mark.skipif(
    not (Path(package.__file__).parent / "shipped" / MODEL).is_dir(), reason="the package has no such model"
)


class Drawings:
    """Held-out drawings as vectors, the names of things, and which drawing shows which."""

    def __init__(self, home: Path) -> None:
        first = look_pictures.HELD_OUT_SEED
        scenes = [
            training_scenes.make_scene(first + number, evaluate.THINGS_ONLY, "test")
            for number in range(NUM_DRAWINGS)
        ]
        facts = look_texts.Facts([look_texts.shown_in(scene) for scene in scenes])
        self.has_NT = facts.counts_NT > 0
        with package.load_embedding_model(MODEL, threads=1, settings=Settings(home=home)) as model:
            self.pictures_ND = model.embed_pictures([scene.image for scene in scenes])
            self.things_TD = model.embed_texts(training_vocabulary.THINGS)
            self.unknown_UD = model.embed_texts(UNKNOWN)
            self.scale = measured(model.embed_texts(EVERYDAY_TEXTS), self.pictures_ND, NUM_DRAWINGS)

    @property
    def shown(self) -> list[int]:
        """The things that several drawings show."""
        return np.flatnonzero(self.has_NT.sum(axis=0) >= 3).tolist()


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    return Drawings(tmp_path_factory.mktemp("home"))


def found(scale: LookScale, query_D: np.ndarray, pictures_ND: np.ndarray) -> list[int]:
    near = [Neighbour(row, 0.0, row) for row in range(len(pictures_ND))]
    answer = scale.shown(query_D, near, dict(enumerate(pictures_ND)), len(pictures_ND))
    return [one.content_id for one in answer]


def test_a_name_finds_the_drawings_that_show_it(drawings: Drawings):
    recall = []
    for thing in drawings.shown:
        rows = found(drawings.scale, drawings.things_TD[thing], drawings.pictures_ND)
        recall.append(drawings.has_NT[rows, thing].sum() / drawings.has_NT[:, thing].sum())
    assert np.mean(recall) > 0.8


def test_a_name_of_what_no_drawing_shows_finds_nothing_mostly(drawings: Drawings):
    answers = [
        found(drawings.scale, query_D, drawings.pictures_ND[~drawings.has_NT[:, thing]])
        for thing, query_D in enumerate(drawings.things_TD)
    ]
    assert np.mean([bool(rows) for rows in answers]) < 0.25
    unknown = [found(drawings.scale, query_D, drawings.pictures_ND) for query_D in drawings.unknown_UD]
    assert unknown == [[]] * len(UNKNOWN)


def test_an_added_name_brings_drawings_that_show_it_and_one_taken_away_leaves_them_out(drawings: Drawings):
    with_it, without_it = [], []
    for row in range(NUM_DRAWINGS):
        shown = np.flatnonzero(drawings.has_NT[row])
        added = drawings.shown[row % len(drawings.shown)]
        if not len(shown) or added in shown:
            continue
        for thing, sign, shares in ((added, 1, with_it), (int(shown[0]), -1, without_it)):
            words_1D, signs = drawings.things_TD[thing][None], np.array([sign], np.float32)
            query_D = combined(drawings.pictures_ND[row], words_1D, signs, drawings.pictures_ND)
            similarities_N = drawings.pictures_ND @ query_D
            similarities_N[row] = -1
            shares.append(drawings.has_NT[np.argsort(-similarities_N)[:3], thing].mean())
    assert np.mean(with_it) > 0.6
    assert np.mean(without_it) < 0.1
