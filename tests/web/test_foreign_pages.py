"""What pages of other sites, and forms without the token, may do to somebody who is logged in: nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from contract.served import ADDRESS
from smallsight.web.form_token import FormTokens
from web.logged_in import form_token, locked, log_in, other_browser
from web.test_access import address, routes

ALLOWED = "https://chat.example"  # may use the API, not the pages
REFUSED = {400, 401, 403, 405}
ORIGINS = {
    "none": {},
    "own": {"origin": ADDRESS},
    "null": {"origin": "null"},
    "foreign": {"origin": "https://evil.example"},
    "api": {"origin": ALLOWED},
    "other port": {"origin": f"{ADDRESS}:1"},
    "other scheme": {"origin": ADDRESS.replace("http:", "https:") + ":443"},
    "other name": {"origin": "http://localhost"},
    "suffix": {"origin": f"{ADDRESS}.evil.example"},
    "user": {"origin": f"{ADDRESS}@evil.example"},
}
SITES = {
    "none": {},
    "same-origin": {"sec-fetch-site": "same-origin"},
    "same-site": {"sec-fetch-site": "same-site"},
    "cross-site": {"sec-fetch-site": "cross-site"},
    "odd": {"sec-fetch-site": "anything"},
}
TYPES = (
    "application/x-www-form-urlencoded",
    "text/plain",
    "multipart/form-data; boundary=b",
    "application/json",
    "",
)
HOSTS = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "evil.example@127.0.0.1", "")
TARGET = "/app/sessions/end"
ROTATED = "x-http-method-override", "x-method-override", "x-http-method"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Starlette]]:
    home = tmp_path_factory.mktemp("locked")
    with locked(home, server={"allowed_origins": [ALLOWED]}) as (client, app):
        assert log_in(client) == 303
        yield client, app


@pytest.fixture
def member(site: tuple[TestClient, Starlette]) -> Iterator[TestClient]:
    """The browser that is logged in; whatever is tried with it, its session has to survive."""
    yield site[0]
    assert site[0].get("/app/sessions").status_code == 200


def body(media_type: str, token: str) -> bytes:
    fields = {"session": "all", "form_token": token}
    if media_type.startswith("multipart"):
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        return ("".join(parts) + "--b--\r\n").encode()
    if media_type == "application/json":
        return b'{"session": "all", "form_token": "%s"}' % token.encode()
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode()


def is_from_our_page(origin: str, site: str) -> bool:
    return origin in ("none", "own") and site in ("none", "same-origin")


def test_no_change_from_another_origin_is_accepted_even_with_the_right_token(member: TestClient):
    token, accepted = form_token(member), []
    cases = [
        (origin, fetched, kind)
        for origin, fetched, kind in itertools.product(ORIGINS, SITES, TYPES)
        if not is_from_our_page(origin, fetched)
    ]
    for origin, fetched, kind in cases:
        headers = {"content-type": kind, "x-form-token": token, **ORIGINS[origin], **SITES[fetched]}
        answer = member.post(TARGET, content=body(kind, token), headers=headers)
        if answer.status_code not in REFUSED:
            accepted.append((origin, fetched, kind, answer.status_code))
    assert accepted == []
    assert len(cases) == 230


def wrong_tokens(site: tuple[TestClient, Starlette]) -> dict[str, str]:
    client, app = site
    other = other_browser(client)
    log_in(other)
    right = form_token(client)
    tokens: FormTokens = app.state.web.form_tokens
    return {
        "missing": "",
        "short": right[:-1],
        "long": right + "0",
        "other case": right.upper() if right.upper() != right else right.swapcase(),
        "of another session": form_token(other),
        "of the form to log in": form_token(other_browser(client), "/app/login"),
        "of an open server": tokens.token(""),
        "of the cookie": client.cookies.get("smallsight-session", ""),
        "zeros": "0" * 64,
        "not ASCII": "é" * 64,
    }


def test_no_change_without_the_sessions_own_token_is_accepted(
    site: tuple[TestClient, Starlette], member: TestClient
):
    tokens = wrong_tokens(site)
    accepted = []
    for (name, token), kind, how in itertools.product(tokens.items(), TYPES, ("body", "header", "both")):
        headers = {"content-type": kind, "origin": ADDRESS}
        if how != "body":
            headers["x-form-token"] = token.encode()
        sent = body(kind, token if how != "header" else "")
        answer = member.post(TARGET, content=sent, headers=headers)
        if answer.status_code not in REFUSED:
            accepted.append((name, kind, how, answer.status_code))
    assert accepted == []
    assert len(tokens) * len(TYPES) * 3 == 150


@pytest.mark.parametrize("kind", ["text/plain", "application/json", ""])
def test_a_right_token_in_a_body_that_is_no_form_does_not_count(member: TestClient, kind: str):
    token = form_token(member)
    assert member.post(TARGET, content=body(kind, token), headers={"content-type": kind}).status_code == 403


def test_nothing_changes_by_reading_or_by_another_name_for_a_method(
    site: tuple[TestClient, Starlette], member: TestClient
):
    token = form_token(member)
    changes = [route for route in routes(site[1], Route) if "POST" in (route.methods or ())]
    assert len(changes) > 5
    allowed: dict[str, set[str]] = {}
    for route in routes(site[1], Route):
        allowed.setdefault(route.path, set()).update(route.methods or ())
    for route in changes:
        if route.path == "/login":
            continue
        query = f"?session=all&form_token={token}&_method=POST"
        for method in {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed[route.path]:
            for name in (None, *ROTATED):
                headers = {"x-form-token": token, **({name: "POST"} if name else {})}
                answer = member.request(method, address(route) + query, headers=headers)
                is_list = method == "OPTIONS" and (answer.status_code, answer.content) == (204, b"")
                assert is_list or answer.status_code in (400, 404, 405), (method, route.path, name)


def test_every_change_needs_the_token(site: tuple[TestClient, Starlette], member: TestClient):
    for route in routes(site[1], Route):
        if "POST" in (route.methods or ()):
            answer = member.post(address(route), data={"session": "all"}, headers={"origin": ADDRESS})
            assert answer.status_code == 403, route.path


def test_pages_cannot_be_read_or_framed_or_timed_by_other_sites(member: TestClient):
    for origin, headers in ORIGINS.items():
        if origin not in ("none", "own"):
            assert member.get("/app/", headers=headers).status_code == 403, origin
    embeddings = [
        ("no-cors", "image"),
        ("cors", "empty"),
        ("no-cors", "script"),
        ("navigate", "iframe"),
        ("navigate", "embed"),
    ]
    for (mode, target), fetched in itertools.product(embeddings, ("cross-site", "same-site")):
        headers = {"sec-fetch-site": fetched, "sec-fetch-mode": mode, "sec-fetch-dest": target}
        for path in ("/app/", "/app/results?q=x", f"/app/files/{'0' * 64}"):
            assert member.get(path, headers=headers).status_code == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert member.get("/app/sessions", headers=link).status_code == 200


def handshake_status(client: TestClient, **headers: str) -> int:
    """Return 101 if the handshake is accepted, else 403."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    sent = {
        "host": "127.0.0.1",
        "cookie": cookies,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    try:
        with client.websocket_connect("/app/events?topics=runs,folders", headers=sent):
            return 101
    except WebSocketDisconnect:
        return 403


def test_no_handshake_from_another_origin_or_without_a_session_is_accepted(
    site: tuple[TestClient, Starlette], member: TestClient
):
    client, _ = site
    stranger, tried = other_browser(client), 0
    assert handshake_status(member) == handshake_status(member, origin=ADDRESS) == 101
    for origin, fetched in itertools.product(ORIGINS, SITES):
        headers = {**ORIGINS[origin], **SITES[fetched]}
        assert handshake_status(stranger, **headers) == 403
        tried += 1
        if not is_from_our_page(origin, fetched):
            assert handshake_status(member, **headers) == 403, headers
            tried += 1
    for host in HOSTS:
        for origin in ({}, {"origin": f"http://{host}"}, {"origin": ADDRESS}):
            assert handshake_status(member, host=host, **origin) == 403, host
            tried += 1
    for cookie in (
        "smallsight-session=",
        "smallsight-session=x",
        f"smallsight-session={'x' * 43}",
        "a=b; smallsight-session",
    ):
        assert handshake_status(member, cookie=cookie) == 403
        tried += 1
    assert tried == 115


def test_a_rebound_name_gets_no_page(member: TestClient):
    for host, path in itertools.product(
        HOSTS, ("/app/", "/app/login", "/app/worker.js", "/app/static/app.js")
    ):
        assert member.get(path, headers={"host": host}).status_code in (400, 403)
