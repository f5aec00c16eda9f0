"""Asking a server that is made up on the spot: every way in which it can answer badly."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator

import pytest

from clocks import HandClock, wait_until
from smallsight.engine.generation import Generation
from smallsight.engine.remote.circuit import CircuitState
from smallsight.engine.remote.remote_engine import RemoteEngine
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import BadRequestError, RemoteModelError
from smallsight.families.messages import Detail, Message, TextPart
from smallsight.remote_settings import RemoteSettings

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]
POLL_S = 0.01  # how often a server looks whether it is to end
SAID = {"choices": [{"message": {"content": "Cats"}, "finish_reason": "stop"}]}


class Elsewhere:
    """A server that answers each request as the next function says; the last one goes on for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.seen: list[dict[str, str]] = []
        self.is_over = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            is_over = outer.is_over

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                outer.seen.append(dict(self.headers))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(POLL_S,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Elsewhere]]:
    made: list[Elsewhere] = []

    def make(*answers: Answer) -> Elsewhere:
        made.append(Elsewhere(*answers))
        return made[-1]

    yield make
    for one in made:
        one.is_over.set()
        one.server.shutdown()
        one.server.server_close()


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


WELL = says(200, json.dumps(SAID).encode())


def is_silent(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Say nothing at all until the test is over."""
    handler.is_over.wait()


def ask(engine: RemoteEngine) -> Generation:
    messages = [Message("user", (TextPart("What?"),))]
    return engine.start(messages, Detail.AUTO, SamplingOptions(max_tokens=5), ignores_end=False)


@pytest.fixture
def engine_of() -> Iterator[Callable[..., RemoteEngine]]:
    made: list[RemoteEngine] = []

    def make(server: Elsewhere, clock: HandClock | None = None, **settings: object) -> RemoteEngine:
        values = {"base_url": server.url, "rest_s": 10, "timeout_s": 60, "max_failures": 3, **settings}
        made.append(RemoteEngine("far", RemoteSettings(**values), clock=clock or HandClock()))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_it_tries_again_and_tells_a_whole_answer(elsewhere, engine_of):
    server = elsewhere(says(503), says(429, retry_after="0"), WELL)
    engine = engine_of(server, max_failures=9)
    assert ask(engine).result().text == "Cats"
    assert (len(server.seen), engine.num_failures, engine.num_answers) == (3, 2, 1)
    assert engine.state is CircuitState.CLOSED


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_question_that_it_refuses_is_not_asked_again(elsewhere, engine_of, status: int):
    server = elsewhere(says(status, b'{"error": {"message": "Too long."}}'))
    engine = engine_of(server)
    for _ in range(4):
        with pytest.raises(BadRequestError, match="far rejected the request: Too long"):
            ask(engine).result()
    assert (len(server.seen), engine.state) == (4, CircuitState.CLOSED)


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_what_the_operator_has_to_mend_is_not_asked_again_either(elsewhere, engine_of, status: int):
    server = elsewhere(says(status, b"<html>", location="http://127.0.0.1:1/"))
    with pytest.raises(RemoteModelError, match=f"status {status}"):
        ask(engine_of(server)).result()
    assert len(server.seen) == 1


def test_it_is_left_alone_and_tried_once_after_a_rest(elsewhere, engine_of):
    server = elsewhere(*[says(503)] * 4, WELL)
    clock = HandClock()
    engine = engine_of(server, clock, retries=5)
    with pytest.raises(RemoteModelError, match="status 503"):
        ask(engine).result()
    assert (len(server.seen), engine.state) == (3, CircuitState.OPEN)
    with pytest.raises(RemoteModelError, match="paused after repeated failures"):
        ask(engine).result()
    assert len(server.seen) == 3
    clock.now_s = 10
    with pytest.raises(RemoteModelError, match="status 503"):
        ask(engine).result()
    assert (len(server.seen), engine.state) == (4, CircuitState.OPEN)
    clock.now_s = 20
    assert ask(engine).result().text == "Cats"
    assert engine.state is CircuitState.CLOSED


def test_a_server_that_only_fails_at_some_questions_is_not_left_alone(elsewhere, engine_of):
    server = elsewhere(*[says(500, b'{"error": {"message": "No pictures here."}}')] * 6, WELL)
    engine = engine_of(server, retries=1)
    for _ in range(3):
        with pytest.raises(RemoteModelError, match="status 500: No pictures here"):
            ask(engine).result()
        assert engine.state is CircuitState.CLOSED
    assert (len(server.seen), engine.num_failures) == (6, 6)
    assert ask(engine).result().text == "Cats"


def test_no_word_in_time_is_a_failure(elsewhere, engine_of):
    engine = engine_of(elsewhere(is_silent, WELL), timeout_s=2)
    assert ask(engine).result().text == "Cats"
    assert engine.num_failures == 1


def test_giving_up_does_not_wait_and_is_no_failure(elsewhere, engine_of):
    server = elsewhere(is_silent)
    engine = engine_of(server)
    generation = ask(engine)
    wait_until(lambda: server.seen)
    generation.cancel()
    assert generation.result().finish_reason == "cancelled", "it waited for an answer that never comes"
    assert engine.num_failures == 0


def test_closing_ends_what_never_had_its_turn(elsewhere, engine_of):
    server = elsewhere(is_silent)
    engine = engine_of(server)
    several = [ask(engine) for _ in range(40)]
    wait_until(lambda: server.seen)
    engine.close()
    assert {one.result().finish_reason for one in several} == {"cancelled"}


def test_the_key_comes_from_the_environment(elsewhere, engine_of, monkeypatch: pytest.MonkeyPatch):
    server = elsewhere(WELL)
    engine = engine_of(server, api_key_env="A_KEY")
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(RemoteModelError, match="The API key of far is missing") as caught:
        ask(engine).result()
    assert "A_KEY" in str(caught.value)
    monkeypatch.setenv("A_KEY", "secret")
    assert ask(engine).result().text == "Cats"
    assert server.seen[-1]["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    "url", ["ftp://a/v1", "a/v1", "http://", "http://user:key@a/v1", "http://a/v1?key=b", "http://a/v1#b"]
)
def test_an_address_that_cannot_be_right_is_refused(url: str):
    with pytest.raises(ValueError, match="base_url"):
        RemoteSettings(base_url=url)
