"""250 URLs, redirects and names that change their address: not one byte reaches a private address (R10).

The canary is a real server on this machine's loopback address, which everything here tries to reach.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from smallsight.errors import BadRequestError
from smallsight.http.remote_pictures import RemotePictures
from smallsight.settings import ServerSettings

PUBLIC = "93.184.216.34"
PRIVATE = [
    *("127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "100.100.100.200", "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.0.192"),
    *("198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "168.63.129.16", "192.88.99.1"),
    *(
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    ),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1::80ff:fffe", "3fff::1", "5f00::1", "100::1"),
]


# Hosts that some parser or resolver takes for this machine, or for one nearby.
HOSTS = (
    *"""
127.0.0.1 127.1 127.0.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.0.0.1 017700000001 0177.0.0.1
127.0.0.1. 127.000.000.001 127.0.0.1%00 1.1.1.1&@127.0.0.1 localhost localhost. LOCALHOST
localhost.localdomain. [::1] [::] [::ffff:127.0.0.1] [::1%25lo] [0:0:0:0:0:0:0:1] [::ffff:7f00:1]
169.254.169.254 0xa9fea9fe 2852039166 [fd00:ec2::254] ①②⑦.⓪.⓪.① 127。0。0。1 ⓛocalhost user@127.0.0.1
public.example@127.0.0.1 127.0.0.1:80@a.b public.example\\@127.0.0.1 127.0.0.1\\.public.example
127.0.0.1#.public.example -a.example 127.0.0.1?.public.example a..b a_b.example *.example x.127
x.0x7f
    """.split(),
    "ex ample.com",
    "",
)


class Canary(ThreadingHTTPServer):
    """Counts connections, whatever they say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self.num_connections = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None

    def get_request(self):
        self.num_connections += 1
        return super().get_request()


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    server = Canary()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def spellings(port: int) -> list[str]:
    """Return URLs that some parser or resolver takes for this machine, or for one nearby."""
    forms = ["http://{}/", "https://{}/", f"http://{{}}:{port}/", "http://{}:22/", "//{}/", "http:\\\\{}/"]
    return [form.format(host) for form, host in itertools.product(forms, HOSTS)] + [
        *(
            "file:///etc/passwd",
            "gopher://127.0.0.1:6379/_",
            "dict://localhost:11211/",
            "ftp://127.0.0.1/a.png",
        ),
        *(
            "http:/127.0.0.1/",
            "http:127.0.0.1",
            "http://",
            "https:///",
            "javascript:1",
            "http://a.example:0/",
        ),
        *("http://a.example:99999/", "http://a.example\t/", "http://a.example\r\nHost: b/", "jar:http://a!/"),
    ]


def fetcher(
    canary: Canary, resolve: Callable[[str], list[str]], hosts: tuple[str, ...] = ("*",)
) -> RemotePictures:
    async def resolved(host: str, port: int) -> list[str]:
        return resolve(host)

    def connect_to(place: object, address: str) -> str:
        """Send what is allowed to the canary, as a router would: whatever is connected is counted."""
        return f"http://127.0.0.1:{canary.server_port}{place.target}"

    return RemotePictures(
        ServerSettings(picture_hosts=hosts, fetch_timeout_s=5), resolve=resolved, connect_to=connect_to
    )


def refused(remote: RemotePictures, url: str) -> bool:
    try:
        asyncio.run(remote.fetch(url))
    except BadRequestError:
        return True
    return False


def test_no_spelling_reaches_this_machine(canary: Canary):
    """Not even where any host may be fetched from, and every name has a public address."""
    urls = spellings(canary.server_port)
    assert len(urls) >= 250
    before = canary.num_connections
    remote = fetcher(canary, lambda _: [PUBLIC])
    assert [url for url in urls if not refused(remote, url)] == []
    assert canary.num_connections == before


def test_nothing_is_resolved_or_opened_unless_the_operator_wants_it(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
):
    opened = []
    real = socket.socket.connect
    monkeypatch.setattr(
        socket.socket, "connect", lambda *arguments: opened.append(arguments) or real(*arguments)
    )
    asked: list[str] = []
    remote = fetcher(canary, lambda host: asked.append(host) or [PUBLIC], hosts=())
    urls = [*spellings(canary.server_port), "http://public.example/a.png", "https://public.example/"]
    assert all(refused(remote, url) for url in urls)
    assert (opened, asked) == ([], [])


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_with_a_private_address_is_not_asked(canary: Canary, address: str):
    before = canary.num_connections
    for addresses in ([address], [PUBLIC, address], [address, PUBLIC], [PUBLIC] * 9 + [address]):
        assert refused(fetcher(canary, lambda _, found=addresses: found), "http://public.example/a.png")
    assert canary.num_connections == before


def redirecting(to: list[str]) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.server.paths.append(handler.path)
        hop = int(handler.path.rpartition("/")[2] or 0)
        handler.send_response(302)
        handler.send_header("location", to[min(hop, len(to) - 1)])
        handler.send_header("content-length", "0")
        handler.end_headers()

    return answer


@pytest.mark.parametrize("num_hops", [1, 2, 3, 4, 5])
def test_redirects_end_before_a_private_address(canary: Canary, num_hops: int):
    """A chain of public hops whose last one names a private place; more than three are refused anyway."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            redirecting(self.server.to)(self)

        def log_message(self, *_: object) -> None: ...

    site = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.paths = []
    threading.Thread(target=site.serve_forever, args=(0.01,), daemon=True).start()
    port = canary.server_port
    written = [url for url in spellings(port) if url.isascii() and url.isprintable() and "://" in url]
    targets = [*written[::8], "http://inside.example/secret", f"http://127.0.0.1:{port}/secret"]
    before = canary.num_connections
    try:
        for target in targets:
            site.to = [f"http://public.example/{hop + 1}" for hop in range(num_hops - 1)] + [target]
            remote = fetcher(site, lambda host: ["10.0.0.7"] if host == "inside.example" else [PUBLIC])
            assert refused(remote, "http://public.example/0"), target
    finally:
        site.shutdown()
        site.server_close()
    assert canary.num_connections == before
    assert not any("secret" in path for path in site.paths)
    assert max(int(path[1:]) for path in site.paths) == min(num_hops, 4) - 1


def test_a_name_that_changes_its_address_is_resolved_once_for_check_and_connection(canary: Canary):
    """Rebinding: public when it is checked, private whenever it is asked again."""
    connected: list[str] = []
    for pattern in itertools.product((PUBLIC, "127.0.0.1"), repeat=6):
        answers = iter([*pattern, *(["127.0.0.1"] * 10)])

        async def resolve(host: str, port: int, answers: Iterator[str] = answers) -> list[str]:
            return [next(answers)]

        def connect_to(place: object, address: str) -> str:
            connected.append(address)
            return "http://127.0.0.1:9/"  # nobody listens: only the address counts

        remote = RemotePictures(
            ServerSettings(picture_hosts=("*",), fetch_timeout_s=5), resolve=resolve, connect_to=connect_to
        )
        assert refused(remote, "http://public.example/a.png")
    assert set(connected) == {PUBLIC}
    assert len(connected) == 32


def test_the_real_connection_goes_to_the_address_that_was_checked(canary: Canary):
    """Without the test's own router: the host of the connection is the number, with the name in its head."""
    from smallsight.http.remote_addresses import RemoteUrl
    from smallsight.http.remote_pictures import _pinned

    for address in (PUBLIC, "2606:2800:220:1:248:1893:25c8:1946"):
        url = _pinned(RemoteUrl("http", "public.example", 80, "/a.png"), address)
        host = url.removeprefix("http://").rpartition(":")[0].strip("[]")
        assert ipaddress.ip_address(host) == ipaddress.ip_address(address)
