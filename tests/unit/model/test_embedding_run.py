"""One call of a picture embedding model: order, groups, what is open at once, and errors."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from smallsight.engine.embedding import load_picture_embedder
from smallsight.model.embedding_run import EmbeddingRun
from tiny_dual_encoder import draw_odd_pictures, write_tiny_clip


class Opening:
    """Opens pictures in one thread, and counts those that nobody has prepared yet."""

    def __init__(self, broken=()):
        self.thread = ThreadPoolExecutor(1)
        self.broken = broken
        self.begun = []

    def begin(self, numbered):
        number, _ = numbered
        self.begun.append(number)
        return self.thread.submit(self.opened, numbered)

    def opened(self, numbered):
        number, picture = numbered
        if number in self.broken:
            raise ValueError(f"picture {number}")
        return picture


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return load_picture_embedder(
        write_tiny_clip(tmp_path_factory.mktemp("clip")), threads=2, uses_kernels=True
    )


def test_vectors_come_in_the_order_of_the_pictures(embedder):
    pictures = draw_odd_pictures(23)
    expected = np.concatenate([embedder.embed_pictures([one]) for one in pictures])
    for number in (0, 1, 2, 3, 23):
        opening = Opening()
        found = EmbeddingRun(embedder, list(enumerate(pictures))[:number], opening.begin).vectors()
        np.testing.assert_array_equal(found, expected[:number])
        assert opening.begun == list(range(number))


def test_few_pictures_are_shared_by_all_threads_and_many_fill_a_run(embedder):
    most = embedder.num_together(1000)
    assert most >= 1
    assert [embedder.num_together(number) for number in (1, 2, 3, 4)] == [1, 1, min(2, most), min(2, most)]


def test_few_pictures_are_open_while_others_are_embedded(embedder):
    most, pictures = 0, draw_odd_pictures(60)
    prepared, lock, opening = [], threading.Lock(), Opening()

    class Counting:
        num_at_once, dimensions = embedder.num_at_once, embedder.dimensions
        num_together, embed_prepared = embedder.num_together, embedder.embed_prepared

        @staticmethod
        def prepared(picture):
            nonlocal most
            with lock:
                prepared.append(picture)
                most = max(most, len(opening.begun) - len(prepared))
            return embedder.prepared(picture)

    EmbeddingRun(Counting, list(enumerate(pictures)), opening.begin).vectors()
    assert len(prepared) == 60
    assert 1 <= most <= embedder.num_at_once + max(2, embedder.num_together(60))


@pytest.mark.parametrize("broken", [(0,), (7, 8, 9), (22,), range(23)])
def test_the_first_picture_that_fails_is_the_error_and_later_ones_are_left(embedder, broken):
    opening = Opening(broken)
    with pytest.raises(ValueError, match=f"picture {min(broken)}$"):
        EmbeddingRun(embedder, list(enumerate(draw_odd_pictures(23))), opening.begin).vectors()
    assert max(opening.begun) < min(broken) + 20
