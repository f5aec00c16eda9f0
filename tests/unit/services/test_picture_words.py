"""The scale of a library for small random networks: measured, kept, and measured again once it has grown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smallsight.engine.embedding import load_picture_embedder
from smallsight.library.database import Database
from smallsight.library.picture_embedding import store_picture_vector
from smallsight.library.schema import content
from smallsight.library.search.everyday import EVERYDAY_TEXTS
from smallsight.library.search.looks import looks_like_words
from smallsight.library.search.query import parse_query
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.services.picture_words import ChosenPictureWords
from smallsight.settings import Settings
from tiny_dual_encoder import draw_odd_pictures, write_tiny_clip, write_tiny_siglip


@pytest.fixture(scope="module", params=["siglip", "clip"])
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    write = write_tiny_siglip if request.param == "siglip" else write_tiny_clip
    loaded = load_picture_embedder(write(tmp_path_factory.mktemp("model") / "tiny"), "fp32", threads=1)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def vectors(embedder) -> np.ndarray:
    return embedder.embed_pictures(draw_odd_pictures(120, seed=3))


class Kept:
    """A library of pictures without files, and what is kept beside it."""

    def __init__(self, database: Database, settings: Settings, embedder) -> None:
        self.database, self.embedder = database, embedder
        self.prepared, self.scales = settings.home / "prepared", settings.home / "look-scales.json"

    def add(self, vectors_ND: np.ndarray) -> None:
        with self.database.writing() as connection:
            for vector_D in vectors_ND:
                sha256 = f"{np.random.default_rng().integers(2**62):064x}"
                row = connection.execute(content.insert().values(sha256=sha256, size_bytes=1))
                store_picture_vector(connection, row.inserted_primary_key[0], vector_D, self.embedder.key)

    def words(self, least: float | None = None) -> ChosenPictureWords:
        return ChosenPictureWords(self.embedder, least, self.prepared, self.scales)

    def scale(self, words: ChosenPictureWords):
        with SqliteTextIndex(self.database).reading() as view:
            return words.scale(view)

    def stored(self) -> dict[str, object]:
        return json.loads(self.scales.read_text())[self.embedder.key]


@pytest.fixture
def kept(tmp_path: Path, embedder) -> Iterator[Kept]:
    settings = Settings(home=tmp_path / "home")
    with Database.open_for_writing(settings.database_path) as database:
        yield Kept(database, settings, embedder)


def test_a_small_library_and_a_chosen_limit_have_no_scale(kept: Kept, vectors, embedder):
    kept.add(vectors[:19])
    words = kept.words()
    assert kept.scale(words) is None
    assert words.min_similarity == embedder.min_similarity
    kept.add(vectors[19:40])
    assert kept.scale(words) is not None
    assert kept.scale(kept.words(0.3)) is None
    assert kept.words(0.3).min_similarity == 0.3


def test_it_is_kept_and_measured_again_when_the_library_has_grown_by_a_quarter(kept: Kept, vectors):
    kept.add(vectors[:60])
    first = kept.scale(kept.words())
    assert (kept.stored()["pictures"], kept.stored()["spread"]) == (60, round(first.spread, 4))
    [bank] = kept.prepared.glob("everyday-*.npy")
    kept.add(vectors[60:70])
    again = kept.scale(kept.words())
    assert (again.num_pictures, again.spread) == (60, pytest.approx(first.spread, abs=1e-4))
    kept.add(vectors[70:90])
    assert kept.scale(kept.words()).num_pictures == 90
    assert kept.stored()["pictures"] == 90
    for damaged in (b"", b"not numbers"):
        bank.write_bytes(damaged)
        kept.scales.write_bytes(damaged)
        healed = kept.scale(kept.words())
        assert healed.bank_BD.shape == (len(EVERYDAY_TEXTS), kept.embedder.dimensions)
        assert kept.stored()["pictures"] == 90


def test_a_random_network_finds_nothing_for_words_unless_a_picture_is_where_the_words_are(
    kept: Kept, vectors, embedder
):
    kept.add(vectors)
    scale = kept.scale(kept.words())
    texts = [f"{one} {other}" for one in ("purple", "wooden") for other in ("spoon", "comet", "tuba", "yak")]
    least = []
    for query_D in embedder.embed_texts(texts):
        shown_D = query_D + 0.3 * vectors[0]
        with_it_ND = np.concatenate([vectors, [shown_D / np.linalg.norm(shown_D)]])
        scores_N = scale.scores(query_D, with_it_ND)
        assert int(scores_N.argmax()) == len(vectors)
        least.append(float(scores_N[:-1].max()))
    assert np.median(least) < 4


def test_a_library_that_cannot_be_written_is_searched_too(kept: Kept, vectors, tmp_path: Path):
    kept.add(vectors[:30])
    (tmp_path / "a file").write_text("")
    kept.prepared = kept.scales = tmp_path / "a file" / "below"
    assert kept.scale(kept.words()) is not None
    query = parse_query("", 100)
    with SqliteTextIndex(kept.database).reading() as view:
        looks_like_words(view, query, "purple spoon", kept.words)
