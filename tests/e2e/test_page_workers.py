"""Several processes answer the pages of one library while one of them writes."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from PIL import Image

from clocks import wait_until
from forked_commands import run_command
from smallsight.http.page_password import PagePassword, password_path

from .serving import Server, about, data_url, png, running

TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
READY = re.compile(r"page_worker_ready.*?pid=(\d+)")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("workers")
    pictures = place / "pictures"
    pictures.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 48), (80 * number, 10, 10)).save(pictures / f"picture {number}.png")
    environment = {**os.environ, "SMALLSIGHT_HOME": str(place / "home"), "SMALLSIGHT_INDEX__OCR": "false"}
    code, _, err = run_command(["index", str(pictures)], environment)
    assert code == 0, err
    return place / "home"


def workers_of(server: Server) -> list[int]:
    """Return the processes that are ready, newest last."""
    return [int(pid) for pid in READY.findall(server.log.read_text())]


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    """Two processes for all tests: starting and stopping them takes longer than most of what they do."""
    settings = {"index__ocr": "false", "server__drain_timeout_s": "5"}
    with running(home, "--workers", "2", **settings) as server:
        wait_until(lambda: workers_of(server), lambda: server.log.read_text()[-2000:])
        yield server


def fresh(server: Server) -> httpx2.Client:
    """Return a client whose every request is on a new connection."""
    return httpx2.Client(
        base_url=server.url, timeout=30, trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)
    )


class Stopped:
    """A process that does not run inside the block."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def __enter__(self) -> None:
        self._process.suspend()

    def __exit__(self, *_: object) -> None:
        self._process.resume()


def token_of(http: httpx2.Client) -> str:
    return str(TOKEN.findall(http.get("/app/pictures/1").text)[0])


def describe(http: httpx2.Client, words: str) -> httpx2.Response:
    form = {"form_token": token_of(http), "description": words}
    return http.post("/app/pictures/1/edit", data=form, follow_redirects=True)


def test_pages_searches_and_pictures_are_answered_while_the_main_process_does_not_run(server: Server):
    with fresh(server) as http:
        page = http.get("/app/pictures/1").text
        (original,) = set(re.findall(r"/app/files/[0-9a-f]{64}", page))
        with Stopped(server.process.pid):
            for address in ("/app/", "/app/results?q=picture", "/app/pictures/1", original):
                assert http.get(address).status_code == 200


def test_the_main_process_answers_them_too(server: Server):
    with fresh(server) as http, Stopped(workers_of(server)[-1]):
        assert http.get("/app/").status_code == 200


def test_an_edit_that_any_process_receives_is_seen_by_the_others(server: Server):
    worker = workers_of(server)[-1]
    with fresh(server) as http:
        with Stopped(worker):  # the main process receives it
            assert describe(http, "written in one").status_code == 200
        with Stopped(server.process.pid):
            assert "written in one" in http.get("/app/pictures/1").text
            assert "picture 0.png" in http.get("/app/results?q=written").text
        assert describe(http, "and in another").status_code == 200
        for stopped in (worker, server.process.pid):
            with Stopped(stopped):
                assert "and in another" in http.get("/app/pictures/1").text


def test_connections_that_are_kept_get_every_kind_of_answer_in_turn(server: Server):
    large = png(width=700, height=400)
    with httpx2.Client(base_url=server.url, timeout=30, trust_env=False) as http:
        for number in range(20):
            assert http.get("/app/").status_code == 200
            assert http.get("/health").status_code == 200
            assert describe(http, f"take {number}").status_code == 200
            assert f"take {number}" in http.get("/app/pictures/1").text
            answer = http.post(
                "/v1/chat/completions",
                json={"model": "test", "messages": about(data_url(large, name="a cat.png"))},
            )
            assert answer.json()["choices"][0]["message"]["content"] == "a cat"


def test_clients_that_stream_are_answered_piece_by_piece(server: Server):
    body = {"model": "test", "messages": about(data_url(name="a cat.png")), "stream": True}
    for _ in range(8):
        with (
            fresh(server) as http,
            http.stream("POST", "/v1/chat/completions", json=body) as response,
        ):
            lines = [line for line in response.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"


def exchange(server: Server, *parts: bytes) -> bytes:
    """Send bytes as they are, and return everything that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received


def head(line: str, *more: str) -> bytes:
    return "\r\n".join([line, "Host: localhost", *more, "", ""]).encode()


def test_requests_sent_ahead_of_their_answers_are_not_lost(server: Server):
    page, elsewhere = head("GET /app/ HTTP/1.1"), head("GET /health HTTP/1.1", "Connection: close")
    for _ in range(8):  # either process may have accepted it
        received = exchange(server, page + page + elsewhere)
        found = re.findall(rb"HTTP/1\.1 (\d+)", received)
        assert found in ([b"200", b"200", b"200"], [b"200", b"200", b"421"])


def test_heads_that_arrive_in_pieces_and_odd_ones_are_answered_by_the_main_process(server: Server):
    last = head("GET /app/ HTTP/1.1", "Connection: close")
    for _ in range(6):
        assert exchange(server, last[:7], last[7:]).startswith(b"HTTP/1.1 200")
        assert exchange(server, head("GET /app/%2e%2e/health HTTP/1.1", "Connection: close")).startswith(
            b"HTTP/1.1 404"
        )
        assert exchange(server, b"nothing like HTTP\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_worker_that_is_killed_is_started_again_and_nothing_is_lost(server: Server):
    with fresh(server) as http:
        describe(http, "before the kill")
        before = workers_of(server)
        os.kill(before[-1], signal.SIGKILL)
        describe(http, "after the kill")
        wait_until(lambda: len(workers_of(server)) > len(before), "no new worker")
        with Stopped(server.process.pid):
            assert "after the kill" in http.get("/app/pictures/1").text
    assert "page_worker_ended" in server.log.read_text()


@pytest.mark.slow
def test_workers_end_with_a_main_process_that_is_killed_and_its_edits_are_there(home: Path):
    server = Server(home, "--workers", "3", index__ocr="false")
    try:
        wait_until(lambda: len(workers_of(server)) == 2, "not ready")
        workers = [psutil.Process(pid) for pid in workers_of(server)]
        with fresh(server) as http:
            describe(http, "just before the end")
        server.process.kill()
        server.process.wait(30)
        assert psutil.wait_procs(workers, timeout=30)[1] == []
    finally:
        server.process.kill()
        server.http.close()
        server.process.communicate()
    with running(home, index__ocr="false") as next_one:
        assert "just before the end" in next_one.http.get("/app/pictures/1").text


def test_the_pages_need_the_password_in_every_process(tmp_path: Path):
    closed = tmp_path / "home"
    closed.mkdir()
    PagePassword(password_path(closed)).set("a long pass phrase")
    with running(closed, "--workers", "2") as server:
        wait_until(lambda: workers_of(server), "not ready")
        for stopped in (workers_of(server)[-1], server.process.pid):
            with fresh(server) as http, Stopped(stopped):
                refused = http.get("/app/", headers={"accept": "text/html"})
                assert (refused.status_code, refused.headers["location"][:10]) == (303, "/app/login")
