"""Addresses that attackers write, and the few that are fetched from."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.errors import BadRequestError
from smallsight.http.remote_addresses import RemoteUrl, is_public, read_remote_url

ANY = ("*",)
LOCAL = "127.0.0.1"


def test_nothing_is_fetched_unless_a_host_is_named():
    with pytest.raises(BadRequestError, match="This server does not fetch pictures"):
        read_remote_url("https://example.org/cat.png", ())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.org/cat.png", RemoteUrl("https", "example.org", 443, "/cat.png")),
        ("HTTP://Example.ORG", RemoteUrl("http", "example.org", 80, "/")),
        ("https://example.org:443/a?b=c#d", RemoteUrl("https", "example.org", 443, "/a?b=c")),
        ("https://a-b.example.org/%2e%2e/x", RemoteUrl("https", "a-b.example.org", 443, "/%2e%2e/x")),
        ("https://xn--bcher-kva.example/", RemoteUrl("https", "xn--bcher-kva.example", 443, "/")),
    ],
)
def test_ordinary_addresses(url: str, expected: RemoteUrl):
    assert read_remote_url(url, ANY) == expected


ODD = [
    f"http://{LOCAL}/",
    "http://127.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://localhost/",
    "http://metadata/",
    "http://169.254.169.254/latest/meta-data/",
    "http://1.2.3.4/",
    "http://example.123/",
    "http://example.0x1/",
    "http://user@example.org/",
    "http://example.org@127.0.0.1/",
    f"http://{LOCAL}#@example.org/",
    "http://example.org\\@127.0.0.1/",
    "http:\\\\example.org/",
    "http://example.org:22/",
    "http://example.org:8080/",
    "https://example.org:80/",
    "http://example.org:99999/",
    "http://example.org:a/",
    "http://example.org./",
    "http://.example.org/",
    "http://example..org/",
    "http://-a.example.org/",
    "http://a_b.example.org/",
    "http://éxample.org/",
    "http://example。org/",
    "http://exam%70le.org/",
    "http://example.org/\r\nHost: evil/",
    "http://example.org/ x",
    "http://example.org/\x00",
    "http:///etc/passwd",
    "http:example.org",
    "//example.org/",
    "/etc/passwd",
    "file:///etc/passwd",
    "ftp://example.org/",
    "gopher://example.org/",
    "data:image/png;base64,AA",
    "javascript:alert(1)",
    "",
    "https://",
    "https://[",
    "https://example.org/" + "a" * 3000,
]


@pytest.mark.parametrize("url", ODD, ids=range(len(ODD)))
def test_odd_addresses_are_refused(url: str):
    with pytest.raises(BadRequestError):
        read_remote_url(url, ANY)


def test_only_named_hosts():
    assert read_remote_url("https://Images.example/x", ("images.EXAMPLE",)).host == "images.example"
    for host in ("example", "evil.example", "x.images.example", "images.example.evil.example"):
        with pytest.raises(BadRequestError):
            read_remote_url(f"https://{host}/x", ("images.example",))


@given(st.text(max_size=60))
def test_no_text_gets_past_but_as_a_plain_address(text: str):
    for url in (text, f"http://{text}", f"https://example.org{text}"):
        try:
            place = read_remote_url(url, ANY)
        except BadRequestError:
            continue
        assert place.port == {"http": 80, "https": 443}[place.scheme]
        assert all(part.isascii() and part.replace("-", "").isalnum() for part in place.host.split("."))
        assert place.target.startswith("/")
        assert not set(place.target) & set("\r\n\0 \\")


PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    *("169.254.169.254", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
    *("2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::", "", "example.org", "1.2.3", "127.1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_in_whatever_form(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("168.63.129.16", "192.88.99.1", "100.64.0.1", "198.18.0.1", "192.0.0.8", "::ffff:168.63.129.16"),
        *("fec0::1", "3fff::1", "3fff:fff::1", "2001:db8::1", "5f00::1", "64:ff9b:1::1", "100::1"),
        *("64:ff9b::a83f:8110", "2002:a83f:8110::1"),  # 168.63.129.16 in NAT64 and 6to4
    ],
)
def test_special_networks_are_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_public_addresses(address: str):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_that_hides_in_another_is_as_private_as_it_is(ip: ipaddress.IPv4Address):
    hidden = [
        ipaddress.IPv6Address((0xFFFF << 32) | int(ip)),
        ipaddress.IPv6Address((0x64FF9B << 96) | int(ip)),
    ]
    assert {is_public(str(one)) for one in hidden} == {is_public(str(ip))}
