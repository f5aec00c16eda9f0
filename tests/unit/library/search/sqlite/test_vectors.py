from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from smallsight.library.embedding import store_vectors
from smallsight.library.schema import content
from smallsight.library.search.sqlite import vectors as module
from smallsight.library.search.sqlite.vectors import VectorIndex
from smallsight.reading.compiled_product import compile_product

KEY = "key"


def units(num, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((num, 8)).astype(np.float16).astype(np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


@pytest.fixture
def store(database):
    """Replace the vectors of one content; the chunks' texts say whose and which they are."""

    def store_some(content_id, vectors_ND):
        with database.writing() as connection:
            if connection.execute(content.select().where(content.c.id == content_id)).first() is None:
                connection.execute(
                    content.insert().values(id=content_id, sha256=str(content_id), size_bytes=1)
                )
            texts = [(content_id, f"{content_id}.{number}") for number in range(len(vectors_ND))]
            store_vectors(connection, [content_id], texts, vectors_ND, KEY)

    return store_some


def brute_force(by_content, query_D, limit):
    best = {
        content_id: float((vectors @ query_D).max())
        for content_id, vectors in by_content.items()
        if len(vectors)
    }
    return sorted(best, key=lambda content_id: (-best[content_id], content_id))[:limit]


def found(index, query_D, limit=5):
    return [content_id for content_id, _, _ in index.nearest(query_D, limit)]


@pytest.fixture(params=["memory", "file"])
def in_file(request, monkeypatch):
    """Run with everything in memory, and with files from the first vector on."""
    if request.param == "file":
        monkeypatch.setattr(module, "_MIN_VECTORS_IN_FILE", 1)
    return request.param == "file"


def test_best_chunk_of_each_content_and_its_text(database, store):
    store(1, np.eye(8, dtype=np.float32)[:3])
    store(2, np.eye(8, dtype=np.float32)[3:5])
    query_D = np.array([0, 0.6, 0, 0, 0.8, 0, 0, 0], np.float32)
    hits = VectorIndex(database, KEY).nearest(query_D, 5)
    assert [(hit[0], round(hit[1], 3), hit[2]) for hit in hits] == [(2, 0.8, "2.1"), (1, 0.6, "1.1")]
    assert VectorIndex(database, KEY).nearest(query_D, 5, min_similarity=0.7) == hits[:1]
    assert VectorIndex(database, "another key").nearest(query_D, 5) == []


def test_follows_every_change_like_a_brute_force_search(database, store, in_file):
    rng = np.random.default_rng(1)
    index, by_content = VectorIndex(database, KEY), {}
    for step in range(40):
        content_id = int(rng.integers(1, 15))
        by_content[content_id] = units(int(rng.integers(0, 4)), seed=step)
        store(content_id, by_content[content_id])
        if step % 11 == 10:
            with database.writing() as connection:
                gone = int(rng.integers(1, 15))
                connection.execute(content.delete().where(content.c.id == gone))
                by_content.pop(gone, None)
        query_D = units(1, seed=1000 + step)[0]
        expected = brute_force(by_content, query_D, 5)
        assert found(index, query_D) == expected
        assert found(VectorIndex(database, KEY), query_D) == expected, "a fresh index differs from an old one"


@pytest.mark.usefixtures("in_file")
def test_many_chunks_of_one_content_do_not_crowd_out_others(database, store):
    store(1, np.repeat(np.eye(8, dtype=np.float32)[:1], 500, axis=0))
    for number in range(2, 6):
        store(number, np.eye(8, dtype=np.float32)[1:2])
    assert found(VectorIndex(database, KEY), np.eye(8, dtype=np.float32)[0], 3) == [1, 2, 3]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[:100],
        lambda data: data[:-1],
        lambda data: b"not a header" + data[12:],
        lambda data: b"{}".ljust(4096, b"\0") + data[4096:],
        lambda data: data[:-3] + b"abc",
        lambda data: data[:4096] + bytes(8 * 50) + data[4096 + 8 * 50 :],
        lambda data: data[:4200] + bytes([data[4200] ^ 1]) + data[4201:],
        lambda data: data.replace(b'"num_dimensions": 8', b'"num_dimensions": 9'),
        lambda data: data.replace(b"vectors-3", b"vectors-2"),
        lambda _: None,
    ],
)
def test_a_damaged_or_deleted_file_is_replaced(database, settings, store, monkeypatch, damage):
    monkeypatch.setattr(module, "_MIN_VECTORS_IN_FILE", 1)
    by_content = {number: units(1, seed=number) for number in range(1, 51)}
    for number, vectors in by_content.items():
        store(number, vectors)
    query_D = units(1, seed=99)[0]
    expected = brute_force(by_content, query_D, 5)
    assert found(VectorIndex(database, KEY), query_D) == expected
    (path,) = settings.home.glob("vectors-*.int8")
    original = path.read_bytes()
    damaged = damage(original)
    if damaged is None:
        path.unlink()
    else:
        path.write_bytes(damaged)
    with capture_logs() as logs:
        assert found(VectorIndex(database, KEY), query_D) == expected
    assert path.read_bytes() == original
    is_silent = damaged is None or b"vectors-2" in damaged or damaged.startswith(b"{}")
    assert [line["event"] for line in logs] == ([] if is_silent else ["vector_file_damaged"])
    assert not list(settings.home.glob("*.draft"))


def test_a_file_that_cannot_be_written_costs_nothing_but_time(database, store, monkeypatch):
    monkeypatch.setattr(module, "_MIN_VECTORS_IN_FILE", 1)
    monkeypatch.setattr(VectorIndex, "_file_path", lambda *_: Path("/nowhere/at/all.int8"))
    store(1, units(1))
    with capture_logs() as logs:
        assert found(VectorIndex(database, KEY), units(1)[0]) == [1]
    assert [line["event"] for line in logs] == ["vectors_in_memory_only"]


def test_threads_see_whole_states_while_vectors_change(database, store):
    index = VectorIndex(database, KEY)
    query_D = np.eye(8, dtype=np.float32)[0]
    store(1, query_D[None])
    done = threading.Event()
    problems = []

    def search():
        while not done.is_set():
            hits = index.nearest(query_D, 3)
            if not hits or hits[0][0] != 1 or hits[0][1] < 0.99:
                problems.append(hits)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(30):
        store(2 + number % 4, units(3, seed=number) * 0.5)
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []


@pytest.mark.usefixtures("in_file")
def test_a_compiled_product_is_that_of_the_rows_and_outlives_additions(database, store, monkeypatch):
    monkeypatch.setattr(module, "_MIN_VECTORS_COMPILED", 1)
    compiled = []

    def compile_it(codes_ND, scales_N):
        compiled.append(len(codes_ND))
        return compile_product(codes_ND, scales_N)

    by_content = {number: units(2, seed=number) for number in range(1, 31)}
    for number, vectors in by_content.items():
        store(number, vectors)
    index = VectorIndex(database, KEY, compile_it)
    query_D = units(1, seed=99)[0]
    assert found(index, query_D) == brute_force(by_content, query_D, 5)
    by_content[31] = query_D[None]
    store(31, by_content[31])
    assert found(index, query_D) == brute_force(by_content, query_D, 5)
    assert compiled == [60]


def test_more_results_of_one_query_are_not_multiplied_again(database, store, monkeypatch):
    monkeypatch.setattr(module, "_MIN_VECTORS_COMPILED", 1)
    asked = []

    def compile_it(codes_ND, scales_N):
        product = compile_product(codes_ND, scales_N)

        def counted(queries_BD):
            asked.append(len(queries_BD))
            return product(queries_BD)

        return counted

    by_content = {number: units(1, seed=number) for number in range(1, 11)}  # too few for a mean
    for number, vectors in by_content.items():
        store(number, vectors)
    index = VectorIndex(database, KEY, compile_it)
    query_D, other_D = units(2, seed=99)
    for limit in (2, 4, 8):
        assert found(index, query_D, limit) == brute_force(by_content, query_D, limit)
    assert asked == [1]
    assert found(index, other_D) == brute_force(by_content, other_D, 5)
    assert found(index, query_D) == brute_force(by_content, query_D, 5)
    assert asked == [1, 1, 1]
    by_content[11] = query_D[None]
    store(11, by_content[11])
    assert found(index, query_D, 1) == [11]
    assert asked == [1, 1, 1, 1]


def test_a_similarity_is_that_of_the_vectors_as_they_are_stored(database, store):
    vectors_ND, query_D = units(200, seed=5), units(1, seed=6)[0]
    for number in range(200):
        store(number + 1, vectors_ND[number : number + 1])
    hits = VectorIndex(database, KEY).nearest(query_D, 200)
    errors = [
        abs(similarity - float(vectors_ND[content_id - 1] @ query_D)) for content_id, similarity, _ in hits
    ]
    assert len(errors) == 200
    assert max(errors) < 1e-6  # not of those in 8 bits


@pytest.mark.parametrize("compiles", [False, True])
def test_several_queries_at_once_find_what_each_finds_alone(database, store, monkeypatch, compiles):
    monkeypatch.setattr(module, "_MIN_VECTORS_COMPILED", 1)
    for number in range(1, 31):
        store(number, units(2, seed=number))
    index = VectorIndex(database, KEY, compile_product if compiles else None)
    queries = list(units(5, seed=99))
    with database.cursor() as cursor:
        together = index.neighbours_of_each(cursor, queries, 4, min_similarity=-1.0)
        alone = [index.neighbours(cursor, one, 4) for one in queries]
        assert index.neighbours_of_each(cursor, [], 4, min_similarity=-1.0) == []
    assert [[one.chunk_id for one in near] for near in together] == [
        [one.chunk_id for one in near] for near in alone
    ]
    for near, other in zip(together, alone, strict=True):
        for one, same in zip(near, other, strict=True):
            assert one.similarity == pytest.approx(same.similarity, abs=1e-5)
            assert one.distinctness == pytest.approx(same.distinctness, abs=1e-5)


@pytest.mark.parametrize("reads_all", [False, True])
def test_a_file_is_written_again_from_its_own_rows_and_new_ones(
    database, settings, store, monkeypatch, reads_all
):
    monkeypatch.setattr(module, "_MIN_VECTORS_IN_FILE", 1)
    by_content = {number: units(2, seed=number) for number in range(1, 41)}
    for number, vectors in by_content.items():
        store(number, vectors)
    index = VectorIndex(database, KEY)
    query_D = units(1, seed=99)[0]
    assert found(index, query_D) == brute_force(by_content, query_D, 5)
    (path,) = settings.home.glob("vectors-*.int8")
    for number in range(1, 31):
        by_content[number] = units(1, seed=500 + number)
        store(number, by_content[number])
    if reads_all:
        path.unlink()
        index = VectorIndex(database, KEY)
    assert found(index, query_D) == brute_force(by_content, query_D, 5)
    fresh = VectorIndex(database, KEY)
    assert found(fresh, query_D) == brute_force(by_content, query_D, 5)
    block, _ = module.read_vector_file(path, KEY)
    assert sorted(block.content_ids_N.tolist()) == sorted([*range(1, 31), *range(31, 41), *range(31, 41)])


def test_a_search_among_some_contents_is_exact_too(database, store):
    by_content = {number: units(2, seed=number) for number in range(1, 301)}
    for number, vectors in by_content.items():
        store(number, vectors)
    index, query_D = VectorIndex(database, KEY), units(1, seed=99)[0]
    for among in ([], [7], [3, 299, 1000], list(range(1, 200, 3))):
        kept = {one: by_content[one] for one in among if one in by_content}
        with database.cursor() as cursor:
            near = index.neighbours(cursor, query_D, 5, among=np.array(among, np.int64))
        assert [one.content_id for one in near] == brute_force(kept, query_D, 5)
