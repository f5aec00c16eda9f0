"""Delivering callbacks to a small application in this process, which answers as a test says."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from clocks import GENEROUS_S
from smallsight.generator.app_client import AppClient
from smallsight.generator.delivery import Deliverer, DeliveryRules
from smallsight.generator.job import JobRequest
from smallsight.generator.job_store import JobStore
from smallsight.generator.store_thread import StoreThread


class Application(ThreadingHTTPServer):
    """Answers each picture's callbacks with its status, 200 where none is set."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Receiver)
        self.statuses: dict[int, int] = {}
        self.received: list[tuple[int, int]] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/image_cores/"


class Receiver(BaseHTTPRequestHandler):
    server: Application

    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
        status = self.server.statuses.get(data["image_core_id"], 200)
        self.server.received.append((data["image_core_id"], status))
        self.send_response(status)
        if status in (301, 302):
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def application() -> Iterator[Application]:
    with Application() as app:
        thread = Thread(target=app.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield app
        finally:
            app.shutdown()
            thread.join()


@pytest.fixture
def app():
    with application() as app:
        yield app


async def deliver(path, address, images, until, deliver_for_s=60.0, pauses_s=(0.01, 0.04), first_try_s=5):
    """Store a job for each picture, deliver until a condition holds, return the list of failures."""
    store = JobStore(path, max_jobs=100)
    thread = StoreThread(store)
    client = AppClient(address, 5, 8)
    deliverer = Deliverer(thread, client, DeliveryRules(*pauses_s, deliver_for_s, first_try_s))
    ids = [(image, store.add(request_for(image))[1]) for image in images]
    running = asyncio.create_task(deliverer.run())
    try:
        await asyncio.gather(*(deliverer.wait_for_first_try(*one) for one in ids))
        async with asyncio.timeout(GENEROUS_S):
            while not until(store):
                await asyncio.sleep(0.01)
        return await thread.call(store.undelivered)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()
        thread.close()


def request_for(image):
    return JobRequest(image_core_id=image, image_path="a", model="test", attempt_id=1, callback_token="t")


def test_a_picture_whose_callbacks_fail_does_not_keep_others_waiting(tmp_path, app):
    app.statuses[1] = 500
    failed = asyncio.run(
        deliver(tmp_path / "j", app.url, [1, 1, 2, 3], lambda _: app.received.count((1, 500)) >= 4)
    )
    assert app.received.count((2, 200)) == app.received.count((3, 200)) == 1
    assert [(one.image_core_id, one.why, one.ended_s) for one in failed] == [(1, "response code 500", None)]


def test_after_its_time_a_callback_is_listed_and_the_next_one_is_sent(tmp_path, app):
    app.statuses[1] = 500
    failed = asyncio.run(
        deliver(tmp_path / "j", app.url, [1, 1], lambda store: len(store.undelivered()) == 2, deliver_for_s=0)
    )
    assert [one.image_core_id for one in failed] == [1, 1]
    assert all(one.ended_s is not None for one in failed)
    assert app.received == [(1, 500), (1, 500)]


def test_redirects_are_not_followed(tmp_path, app):
    app.statuses[1] = 302
    failed = asyncio.run(deliver(tmp_path / "j", app.url, [1], lambda store: store.undelivered()))
    assert failed[0].why == "response code 302"


def test_nobody_waits_for_an_application_that_is_away(tmp_path, app):
    failed = asyncio.run(
        deliver(
            tmp_path / "j",
            "http://127.0.0.1:9/",
            range(50),
            lambda store: store.undelivered(),
            pauses_s=(2 * GENEROUS_S, 2 * GENEROUS_S),
            first_try_s=0.1,
        )
    )
    assert "ConnectError" in failed[0].why
    assert len(failed) <= 8 * 3, "all pictures pause together"
