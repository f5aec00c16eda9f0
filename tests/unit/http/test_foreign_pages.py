"""Hosts, origins and methods, combined."""

from __future__ import annotations

import itertools

import pytest

from smallsight.http.foreign_pages import (
    host_of,
    is_foreign,
    is_known_host,
    is_loopback,
    is_single_label,
    own_names,
)

OWN = "127.0.0.1:8420"
ORIGINS = [
    None,
    f"http://{OWN}",
    "http://127.0.0.1:1",
    "https://evil.example",
    "null",
    "https://chat.example",
    "[",
]
SITES = [None, "same-origin", "none", "same-site", "cross-site", "new-value"]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "LINK"]


def should_be_let_in(method: str, origin: str | None, site: str | None) -> bool:
    if method in ("GET", "HEAD", "OPTIONS") or origin == "https://chat.example":
        return True
    return site not in ("same-site", "cross-site", "new-value") and origin in (None, f"http://{OWN}")


def is_let_in(method: str, origin: str | None, site: str | None) -> bool:
    headers = {"host": OWN, "origin": origin, "sec-fetch-site": site}
    present = {name: value for name, value in headers.items() if value is not None}
    return not is_foreign(method, present, ("https://chat.example",))


def test_who_may_do_more_than_read():
    combinations = list(itertools.product(METHODS, ORIGINS, SITES))
    assert [one for one in combinations if is_let_in(*one) != should_be_let_in(*one)] == []


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:80", "localhost"),
        ("[::1]:8420", "::1"),
        ("a.b-c_d.example:1", "a.b-c_d.example"),
        ("", None),
        (None, None),
        ("a b", None),
        ("a:b", None),
        ("a@b", None),
        ("a/b", None),
        ("a:1:2", None),
        ("[::1", None),
        ("a,b", None),
        ("a\n", None),
    ],
)
def test_the_host_in_a_header(header: str | None, host: str | None):
    assert host_of(header) == host


def test_addresses_and_own_names_are_known():
    names = own_names() | {"nas.example"}
    for header in ("127.0.0.1", "10.1.2.3:80", "[fe80::1]", "localhost", "nas.example:8420"):
        assert is_known_host(header, names)
    for header in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "localhost.", ""):
        assert not is_known_host(header, names)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "nas", "localhost.example", ""])
def test_not_loopback(host: str):
    assert not is_loopback(host)


def test_a_star_lets_any_host_and_any_page_in():
    assert is_known_host("anything.example:8420", {"*"})
    assert not is_known_host("not a host", {"*"})
    page = {"host": OWN, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert not is_foreign("POST", page, ("*",))
    assert is_foreign("POST", {"host": OWN, "sec-fetch-site": "cross-site"}, ("*",))


@pytest.mark.parametrize(
    ("header", "is_one"),
    [
        ("smallsight:8420", True),
        ("NAS", True),
        ("a-b_c", True),
        ("nas.lan", False),
        ("nas.", False),
        ("[::1]", False),
        ("127.0.0.1:1", False),
        ("", False),
        (None, False),
    ],
)
def test_a_name_without_a_dot(header: str | None, is_one: bool):
    assert is_single_label(header) == is_one


def test_names_that_containers_use_are_own_names():
    assert {"host.docker.internal", "host.containers.internal"} <= own_names()
