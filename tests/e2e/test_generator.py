"""Every row of the meme-search generator's contract, with a real process and a real receiver."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from e2e.generating import Generator, Receiver, job_body, settles, told
from scale import scaled

NUMBERS = count(1)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    receiver = Receiver(tmp_path_factory.mktemp("receiver"))
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Generator]:
    generator = Generator(tmp_path_factory.mktemp("generator"), receiver.port)
    yield generator
    assert generator.stop() == 0, generator.log.read_text()
    assert "Traceback" not in generator.log.read_text()


@pytest.fixture
def image() -> int:
    """A number of a picture that no other test uses."""
    return next(NUMBERS)


def test_it_says_hello(generator: Generator):
    answer = generator.http.get("/")
    assert (answer.status_code, answer.json()) == (200, {"status": "HELLO WORLD"})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "image_to_text_generator:8000"}, 200),
        ({"host": "memes.example"}, 400),
        ({"origin": "https://memes.example"}, 403),
    ],
)
def test_only_the_applications_name_for_it_is_accepted_and_no_page_of_another_site(
    generator: Generator, headers: dict[str, str], status: int
):
    answer = generator.http.delete("/remove_job/1", headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == ({"status"} if status == 200 else {"detail"})


def test_a_job_is_told_about_in_order_with_its_token(generator: Generator, receiver: Receiver, image: int):
    answer = generator.add(image, generator.draw("a folder/cat on a mat.png"))
    assert (answer.status_code, answer.json()) == (200, {"status": "Job added to queue"})
    assert told(receiver.of(image)[0]) == 1, "the application is told before the request is answered"
    settles(lambda: len(receiver.of(image)) == 4, generator)
    assert [told(data) for data in receiver.of(image)] == [1, 2, "Test description for cat on a mat", 3]
    token = {"attempt_id": 100 + image, "callback_token": f"token-{100 + image}"}
    assert all(token.items() <= data.items() for data in receiver.of(image))
    assert generator.num_jobs() == 0


def test_callbacks_are_wrapped_json_to_the_two_receivers(
    generator: Generator, receiver: Receiver, image: int
):
    generator.add(image, generator.draw("wrapped.png"))
    settles(lambda: len(receiver.of(image)) == 4, generator)
    sent = [one for one in receiver.all() if one["body"]["data"]["image_core_id"] == image]
    assert [one["path"].rpartition("/")[2] for one in sent] == [
        "status_receiver",
        "status_receiver",
        "description_receiver",
        "status_receiver",
    ]
    assert {one["path"].rpartition("/")[0] for one in sent} == {"/image_cores"}
    assert {one["type"] for one in sent} == {"application/json"}
    assert all(set(one["body"]) == {"data"} for one in sent)
    assert set(sent[0]["body"]["data"]) == {"image_core_id", "status", "attempt_id", "callback_token"}
    assert set(sent[2]["body"]["data"]) == {"image_core_id", "description", "attempt_id", "callback_token"}


def test_two_attempts_of_one_picture_keep_their_own_tokens_and_their_order(
    generator: Generator, receiver: Receiver, image: int
):
    path = generator.draw("twice.png")
    generator.add(image, path, attempt_id=7, callback_token="first")
    generator.add(image, path, attempt_id=8, callback_token="second")
    settles(lambda: len(receiver.of(image)) == 8, generator)
    by_attempt = {7: [], 8: []}
    for data in receiver.of(image):
        by_attempt[data["attempt_id"]].append(told(data))
    assert by_attempt[7] == by_attempt[8] == [1, 2, "Test description for twice", 3]
    assert told(receiver.of(image)[-1]) == 3
    assert receiver.of(image)[-1]["callback_token"] == "second"


def fields_without(name: str) -> dict[str, Any]:
    return {key: value for key, value in job_body(1, "a.png").items() if key != name}


@pytest.mark.parametrize(
    ("body", "kind", "place"),
    [
        (fields_without("callback_token"), "missing", ["callback_token"]),
        (fields_without("attempt_id"), "missing", ["attempt_id"]),
        (fields_without("image_core_id"), "missing", ["image_core_id"]),
        (fields_without("image_path"), "missing", ["image_path"]),
        (job_body(1, "a.png", model=None), "string_type", ["model"]),
        (job_body(1, "a.png", model="gpt-4o"), "value_error", ["model"]),
        (job_body(1, "a.png", callback_token=5), "string_type", ["callback_token"]),
        (job_body(1, "a.png", attempt_id=1.5), "int_from_float", ["attempt_id"]),
        (job_body(2**63, "a.png"), "less_than", ["image_core_id"]),
        (job_body(1, "a" * 5000), "string_too_long", ["image_path"]),
        ([], "model_type", []),
    ],
)
def test_an_unusable_job_is_refused_and_nothing_is_told(
    generator: Generator, receiver: Receiver, body: object, kind: str, place: list[str]
):
    before = len(receiver.all())
    answer = generator.http.post("/add_job", json=body)
    assert answer.status_code == 422
    problem = answer.json()["detail"][0]
    assert (problem["type"], problem["loc"]) == (kind, place)
    assert {"type", "loc", "msg", "input", "url"} >= set(problem)
    assert "ctx" not in problem
    assert generator.num_jobs() == 0
    assert len(receiver.all()) == before


def test_an_unknown_model_is_answered_with_all_names(generator: Generator):
    answer = generator.add(1, "a.png", model="gpt-4o")
    assert answer.json()["detail"][0]["msg"].startswith(
        "Value error, model must be one of ['test', 'Florence-2-base', 'Florence-2-large', "
        "'SmolVLM-256M-Instruct', 'SmolVLM-500M-Instruct', 'moondream2', 'moondream2-int8', "
    )
    assert "'Smallsight-tiny'" in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"image_core_id": NaN}', b"[" * 10_000])
def test_what_is_not_json_is_refused_with_a_sentence(generator: Generator, body: bytes):
    answer = generator.http.post("/add_job", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"]


def test_numbers_as_text_and_other_fields_are_accepted(generator: Generator, receiver: Receiver, image: int):
    answer = generator.add(
        image, generator.draw("text.png"), attempt_id="7", more=[1], image_core_id=str(image)
    )
    assert answer.status_code == 200
    settles(lambda: len(receiver.of(image)) == 4, generator)
    assert receiver.of(image)[0]["attempt_id"] == 7


def test_the_default_model_is_the_originals(generator: Generator, receiver: Receiver, image: int):
    body = job_body(image, generator.draw("default.png"))
    del body["model"]
    assert generator.http.post("/add_job", json=body).status_code == 200
    settles(lambda: 5 in map(told, receiver.of(image)), generator)
    assert (
        "Florence-2-base"
        in receiver.of(image)[-1]["error_message" if "status" in receiver.of(image)[-1] else "description"]
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/add_job", 405, "Method Not Allowed"),
        ("POST", "/check_queue", 405, "Method Not Allowed"),
        ("GET", "/nothing", 404, "Not Found"),
    ],
)
def test_other_routes_and_methods(generator: Generator, method: str, path: str, status: int, detail: str):
    answer = generator.http.request(method, path)
    assert (answer.status_code, answer.json()) == (status, {"detail": detail})


def test_the_routes_are_described(generator: Generator):
    assert {"/add_job", "/check_queue", "/remove_job/{image_core_id}"} <= set(
        generator.http.get("/openapi.json").json()["paths"]
    )
    assert "/add_job" in generator.http.get("/docs").text


@pytest.mark.parametrize("wanted", ["x", "1.5", str(2**63)])
def test_a_picture_to_remove_is_a_whole_number(generator: Generator, wanted: str):
    answer = generator.http.delete(f"/remove_job/{wanted}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["path", "image_core_id"]


def test_removing_what_is_not_there_is_answered_as_if_it_were(
    generator: Generator, receiver: Receiver, image: int
):
    answer = generator.http.delete(f"/remove_job/{image}")
    assert (answer.status_code, answer.json()) == (200, {"status": "Job removed from queue"})
    assert receiver.of(image) == []


def permanent_failures(folder: Path) -> dict[str, str]:
    """Make files that cannot be described; return the original's sentence for each."""
    (folder / "corrupt.jpg").write_bytes(b"this is no picture")
    (folder / "large.png").write_bytes(bytes(10 * 1024 * 1024 + 1))
    (folder / "folder.png").mkdir(exist_ok=True)
    outside = folder.parent / "outside.png"
    outside.write_bytes((folder / "inside.png").read_bytes())
    if not (folder / "link.png").is_symlink():
        (folder / "link.png").symlink_to(outside)
    return {
        "none.png": f"Image file not found: {folder}/none.png",
        "corrupt.jpg": f"Invalid or corrupt image file: {folder}/corrupt.jpg",
        "large.png": "Image file too large: 10.0MB exceeds 10MB limit",
        "folder.png": f"Cannot read image file: {folder}/folder.png - it is not a file",
        "../outside.png": f"Image file not found: {folder}/../outside.png",
        "link.png": f"Image file not found: {folder}/link.png",
        "/etc/hostname": f"Image file not found: {folder}//etc/hostname",
        "a\0b.png": f"Image file not found: {folder}/a\0b.png",
    }


def test_a_job_that_cannot_succeed_fails_at_once_with_the_originals_sentence(
    generator: Generator, receiver: Receiver
):
    generator.draw("inside.png")
    expected = permanent_failures(generator.pictures)
    for number, path in enumerate(expected, 1000):
        assert generator.add(number, path).status_code == 200
    for number, why in enumerate(expected.values(), 1000):
        settles(lambda number=number: len(receiver.of(number)) == 4, generator)
        first, second, failed, description = receiver.of(number)
        assert (told(first), told(second), told(failed)) == (1, 2, 5)
        assert failed["error_message"] == why
        assert told(description) == f"Error: {why}"
        assert description["callback_token"] == failed["callback_token"] == f"token-{100 + number}"
    assert generator.num_jobs() == 0


def test_a_job_that_may_succeed_later_is_tried_three_times(
    generator: Generator, receiver: Receiver, image: int
):
    generator.add(image, generator.draw("later.png"), model="moondream2")
    settles(lambda: len(receiver.of(image)) == 6, generator)
    *tries, failed, description = receiver.of(image)
    assert [told(data) for data in tries] == [1, 2, 2, 2]
    why = "Max retries (3) exceeded. Last error: Model download failed: The files of moondream2"
    assert failed["error_message"].startswith(why)
    assert told(description) == f"Error: {failed['error_message']}"


@pytest.mark.slow
def test_a_real_model_describes_many_pictures_together(generator: Generator, receiver: Receiver):
    numbers = range(2000, 2008)
    for number in numbers:
        generator.add(number, generator.draw(f"many/{number}.png", number), model="Smallsight-tiny")
    settles(lambda: all(len(receiver.of(number)) == 4 for number in numbers), generator)
    for number in numbers:
        one, two, text, three = map(told, receiver.of(number))
        assert (one, two, three) == (1, 2, 3)
        assert isinstance(text, str)
        assert len(text) > 10


@pytest.mark.slow
def test_a_hundred_jobs_at_once_are_all_described(generator: Generator, receiver: Receiver):
    numbers = range(10_000, 10_000 + scaled(100))
    path = generator.draw("at once.png")
    before = len(receiver.all())
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda number: generator.add(number, path).status_code, numbers))
    assert set(answers) == {200}
    settles(lambda: len(receiver.all()) == before + 4 * len(numbers), generator)
    assert Counter(told(one["body"]["data"]) for one in receiver.all()[before:]) == {
        1: len(numbers),
        2: len(numbers),
        3: len(numbers),
        "Test description for at once": len(numbers),
    }


def test_the_original_table_is_readable_while_jobs_wait(tmp_path: Path, receiver: Receiver):
    """And removing the picture in progress stops the work: one status 0, nothing after it."""
    generator = Generator(tmp_path, receiver.port, test_delay_s="60", batch="1")
    try:
        for number in (3000, 3001):
            generator.add(number, generator.draw("waits.png"))
        settles(lambda: len(receiver.of(3000)) == 2, generator)
        assert generator.num_jobs() == 2
        with closing(sqlite3.connect(generator.home / "generator.sqlite3")) as connection:
            rows = connection.execute("SELECT image_core_id, attempt_id, callback_token FROM jobs").fetchall()
        assert rows == [(3000, 3100, "token-3100"), (3001, 3101, "token-3101")]
        for number, expected in ((3001, [1, 0]), (3000, [1, 2, 0])):
            assert generator.http.delete(f"/remove_job/{number}").status_code == 200
            assert [told(data) for data in receiver.of(number)] == expected
        assert generator.num_jobs() == 0
        generator.add(3002, "none.png")
        settles(lambda: len(receiver.of(3002)) == 4, generator)
        assert len(receiver.of(3000)) == 3
    finally:
        assert generator.stop() == 0
