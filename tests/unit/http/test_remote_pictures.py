"""Fetching from a server of this test's own, whose name resolves to whatever the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from smallsight.errors import BadRequestError, PictureTooLargeError
from smallsight.http.remote_addresses import is_public
from smallsight.http.remote_pictures import FetchedFile, RemotePictures
from smallsight.settings import ServerSettings

HOST = "pictures.example"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    thread = threading.Thread(
        target=server.serve_forever, args=(0.01,), daemon=True
    )  # looks often for its end
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def answering(data: bytes = b"a picture", status: int = 200, **headers: str):
    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def fetch(site: ThreadingHTTPServer, url: str, answers: list[list[str]] | None = None, **settings: object):
    """Fetch while the names resolve to these addresses in turn; every allowed one leads to the site."""
    resolved: list[str] = []
    answers = [["93.184.216.34"]] * 10 if answers is None else answers

    async def resolve(host: str, port: int) -> list[str]:
        resolved.append(host)
        return answers[len(resolved) - 1]

    remote = RemotePictures(
        ServerSettings(**{"picture_hosts": (HOST, "other.example"), "fetch_timeout_s": 5, **settings}),
        resolve=resolve,
        is_allowed=is_public,
        connect_to=lambda place, _: f"http://127.0.0.1:{site.server_port}{place.target}",
    )
    return asyncio.run(remote.fetch(url)), resolved


def test_a_picture_is_fetched_under_its_hosts_name(site: ThreadingHTTPServer):
    site.answer = answering()
    fetched, resolved = fetch(site, f"http://{HOST}/pets/cat.png?size=2")
    assert fetched == FetchedFile("/pets/cat.png", b"a picture")
    assert resolved == [HOST]
    ((path, headers),) = site.seen
    headers = {name.lower(): value for name, value in headers.items()}
    assert path == "/pets/cat.png?size=2"
    assert headers["host"] == HOST
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers
    assert "cookie" not in headers


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["10.0.0.1", "93.184.216.34"], ["::1"], [], ["what"]],
)
def test_one_private_address_is_enough_to_refuse(site: ThreadingHTTPServer, addresses: list[str]):
    site.answer = answering()
    with pytest.raises(BadRequestError, match="no public address"):
        fetch(site, f"http://{HOST}/", [addresses])
    assert site.seen == []


def test_a_name_is_resolved_once_so_it_cannot_change_in_between(site: ThreadingHTTPServer):
    site.answer = answering()
    _, resolved = fetch(site, f"http://{HOST}/", [["93.184.216.34"], ["127.0.0.1"]])
    assert resolved == [HOST]


def test_redirects_are_followed_where_they_might_have_started(site: ThreadingHTTPServer):
    steps = iter(
        [answering(b"", 302, location="/b"), answering(b"", 301, location="https://other.example/c")]
    )

    def answer(handler: Handler) -> None:
        next(steps, answering())(handler)

    site.answer = answer
    fetched, resolved = fetch(site, f"http://{HOST}/a")
    assert fetched.data == b"a picture"
    assert resolved == [HOST, HOST, "other.example"]
    assert [path for path, _ in site.seen] == ["/a", "/b", "/c"]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/",
        "http://evil.example/",
        "http://pictures.example:8080/",
        "http://user@pictures.example/",
        "file:///etc/passwd",
        "//169.254.169.254/latest",
        "http://[::1]/",
    ],
)
def test_a_redirect_elsewhere_is_refused(site: ThreadingHTTPServer, target: str):
    site.answer = answering(b"", 302, location=target)
    with pytest.raises(BadRequestError):
        fetch(site, f"http://{HOST}/")
    assert len(site.seen) == 1


def test_a_redirect_to_a_name_that_is_private_by_now_is_refused(site: ThreadingHTTPServer):
    site.answer = answering(b"", 302, location="/again")
    with pytest.raises(BadRequestError, match="no public address"):
        fetch(site, f"http://{HOST}/", [["93.184.216.34"], ["127.0.0.1"]])
    assert len(site.seen) == 1


def test_redirects_are_counted(site: ThreadingHTTPServer):
    site.answer = answering(b"", 302, location="/again")
    with pytest.raises(BadRequestError, match="more than 3 times"):
        fetch(site, f"http://{HOST}/")
    assert len(site.seen) == 4


@pytest.mark.parametrize("status", [204, 304, 401, 404, 500])
def test_another_status_is_a_sentence(site: ThreadingHTTPServer, status: int):
    site.answer = answering(b"", status)
    with pytest.raises(BadRequestError, match=f"status {status}"):
        fetch(site, f"http://{HOST}/")


def test_size_is_bounded_whatever_is_announced(site: ThreadingHTTPServer):
    site.answer = answering(b"x" * 1001)
    with pytest.raises(PictureTooLargeError, match="limit 1000 bytes"):
        fetch(site, f"http://{HOST}/", max_fetch_bytes=1000)

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 1000)
        except OSError:
            pass

    site.answer = endless
    with pytest.raises(PictureTooLargeError):
        fetch(site, f"http://{HOST}/", max_fetch_bytes=100_000)


def test_compression_is_refused(site: ThreadingHTTPServer):
    site.answer = answering(content_encoding="gzip")
    with pytest.raises(BadRequestError, match="compressed"):
        fetch(site, f"http://{HOST}/")


def test_time_is_bounded(site: ThreadingHTTPServer):
    release = threading.Event()
    site.answer = lambda _: release.wait(10)
    try:
        with pytest.raises(BadRequestError, match=r"longer than 0\.3 s"):
            fetch(site, f"http://{HOST}/", fetch_timeout_s=0.3)
    finally:
        release.set()


def test_proxies_of_the_environment_are_not_used(site: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.answer = answering()
    assert fetch(site, f"http://{HOST}/")[0].data == b"a picture"


def test_a_host_that_is_down_is_a_sentence(site: ThreadingHTTPServer):
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34"]

    remote = RemotePictures(
        ServerSettings(picture_hosts=(HOST,), fetch_timeout_s=5),
        resolve=resolve,
        connect_to=lambda *_: "http://127.0.0.1:9/",
    )
    with pytest.raises(BadRequestError, match="Fetching the picture failed"):
        asyncio.run(remote.fetch(f"http://{HOST}/"))


def test_a_name_that_does_not_resolve_is_a_sentence():
    remote = RemotePictures(ServerSettings(picture_hosts=("*",), fetch_timeout_s=5))
    with pytest.raises(BadRequestError):
        asyncio.run(remote.fetch("http://name.invalid/"))
