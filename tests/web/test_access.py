"""Who may use the pages: with and without a password, keys, and other machines that can reach the server."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from contract.served import served
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.http.page_password import PagePassword, password_path
from smallsight.http.sessions import IDLE_S, Sessions, sessions_path
from web.logged_in import PAGE, PASSWORD, form_token, locked, log_in, other_browser, pages_of, store_password

PUBLIC = {"/login", "/manifest.webmanifest", "/worker.js", "/offline", "/static/{name:path}"}
VALUES = {"content_id": "1", "side_px": "320", "sha256": "0" * 64, "name": "app.css"}
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Starlette]]:
    with locked(tmp_path_factory.mktemp("locked")) as found:
        yield found


def address(route: Route | WebSocketRoute) -> str:
    return "/app" + re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: VALUES.get(found[1], "1"), route.path)


def routes(app: Starlette, kind: type) -> list:
    found = [route for route in app.routes if isinstance(route, kind)]
    assert found
    return found


def connects(client: TestClient, path: str, **headers: str) -> bool:
    try:
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        with client.websocket_connect(path, headers={"host": "127.0.0.1", "cookie": cookies, **headers}):
            return True
    except WebSocketDisconnect:
        return False


def test_every_route_needs_a_session_but_those_that_reveal_nothing(site: tuple[TestClient, Starlette]):
    client, app = site
    stranger = other_browser(client)
    for route in routes(app, Route):
        for method in METHODS:
            status = stranger.request(method, address(route)).status_code
            if method == "OPTIONS":
                assert status in (204, 405), (method, route.path, status)
            elif route.path in PUBLIC:
                assert status in (200, 403, 405), (method, route.path, status)
            else:
                assert status in (401, 405), (method, route.path, status)


def test_a_page_leads_to_the_form_and_back(site: tuple[TestClient, Starlette]):
    client, _ = site
    visitor = other_browser(client)
    to_form = visitor.get("/app/?q=cat&tag=a+b", headers=PAGE)
    assert to_form.status_code == 303
    form = visitor.get(to_form.headers["location"])
    assert form.status_code == 200
    target = re.search(r'name="next" value="([^"]*)"', form.text)[1].replace("&amp;", "&")
    fields = {"password": PASSWORD, "next": target, "form_token": form_token(visitor, "/app/login")}
    answer = visitor.post("/app/login", data=fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/app/?q=cat&tag=a+b")
    cookie = answer.headers["set-cookie"].lower()
    assert all(one in cookie for one in ("httponly", "samesite=lax", "path=/app;"))
    assert "secure" not in cookie
    assert visitor.get("/app/", headers=PAGE).status_code == 200


def test_a_fragment_or_script_gets_a_401_instead_of_the_form(site: tuple[TestClient, Starlette]):
    stranger = other_browser(site[0])
    for headers in (
        {"hx-request": "true", **PAGE},
        {"sec-fetch-mode": "cors", **PAGE},
        {"accept": "image/webp"},
    ):
        answer = stranger.get("/app/results", headers=headers)
        assert answer.status_code == 401
        assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/app/",
        "/\\evil.example",
        "/app",
        "/app\\evil",
        "/app/..//evil.example",
        "/app/%2f/evil.example",
        "/app/\r\nset-cookie: a=b",
        "/app/\tx",
        "javascript:alert(1)",
        "/v1/models",
        "/app/login",
        "/application/",
        "",
    ],
)
def test_the_form_leads_only_to_pages_of_the_app(site: tuple[TestClient, Starlette], target: str):
    client, _ = site
    member = other_browser(client)
    log_in(member)
    answer = member.get("/app/login", params={"next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/app/")


def test_a_wrong_password_opens_nothing_and_guessing_is_limited(tmp_path: Path):
    with locked(tmp_path) as (client, _):
        statuses = [log_in(client, f"wrong password {number}") for number in range(5)]
        refused = client.post(
            "/app/login", data={"password": PASSWORD, "form_token": form_token(client, "/app/login")}
        )
        assert statuses == [401] * 5
        assert refused.status_code == 429
        assert 50 <= int(refused.headers["retry-after"]) <= 60
        assert f"Try again in {refused.headers['retry-after']} seconds" in refused.text
        assert client.get("/app/").status_code == 401


def test_a_session_outlives_the_server_and_ends_with_the_password(tmp_path: Path):
    with locked(tmp_path) as (client, _):
        assert log_in(client) == 303
        cookies = dict(client.cookies)
    with served(tmp_path) as (client, _):
        client.cookies.update(cookies)
        assert client.get("/app/sessions").status_code == 200
        store_password(tmp_path, PASSWORD + " 2")
        assert client.get("/app/sessions").status_code == 401
        assert not connects(client, "/app/events")


def test_sessions_are_listed_and_ended(site: tuple[TestClient, Starlette]):
    client, _ = site
    mine, phone = other_browser(client), other_browser(client)
    phone.headers["user-agent"] = "Mozilla/5.0 (Linux; Android 16) Firefox/150 <b>x</b>"
    assert (log_in(mine), log_in(phone)) == (303, 303)
    page = mine.get("/app/sessions").text
    assert "Firefox, Android" in page
    assert "<b>x" not in page
    name = re.search(
        r'name="session" value="(\w{16})" aria-label="End the session of Firefox, Android"', page
    )[1]
    fields = {"session": name, "form_token": form_token(mine)}
    assert mine.post("/app/sessions/end", data=fields).headers["location"] == "/app/sessions"
    assert phone.get("/app/sessions").status_code == 401
    assert mine.get("/app/sessions").status_code == 200
    log_in(phone)
    answer = mine.post("/app/sessions/end", data={"session": "others", "form_token": form_token(mine)})
    assert answer.status_code == 303
    assert [one.get("/app/sessions").status_code for one in (mine, phone)] == [200, 401]
    log_in(phone)
    gone = mine.post("/app/logout", data={"form_token": form_token(mine)})
    assert (gone.headers["location"], gone.headers["clear-site-data"]) == ("/app/login", '"cache"')
    assert [one.get("/app/sessions").status_code for one in (mine, phone)] == [401, 200]
    phone.post("/app/sessions/end", data={"session": "all", "form_token": form_token(phone)})
    assert phone.get("/app/sessions").status_code == 401


def test_a_session_that_is_not_used_ends(site: tuple[TestClient, Starlette]):
    client, app = site
    member = other_browser(client)
    log_in(member)
    sessions = app.state.web.access.sessions
    # The clock of a server in this process is set: nobody waits for a month.
    old, sessions._clock = sessions._clock, lambda: time.time() + IDLE_S + 1  # noqa: SLF001
    try:
        assert member.get("/app/sessions").status_code == 401
    finally:
        sessions._clock = old  # noqa: SLF001
    assert member.get("/app/sessions").status_code == 200


def test_a_session_is_for_pages_and_a_key_for_the_api(tmp_path: Path):
    key = ApiKeys(tmp_path / "api-keys.json").add("phone", frozenset(Scope))
    bearer = {"authorization": f"Bearer {key}"}
    with locked(tmp_path) as (client, _):
        assert client.get("/v1/models", headers=bearer).status_code == 200
        assert client.get("/app/sessions", headers=bearer).status_code == 401
        assert not connects(client, "/app/events", **bearer)
        log_in(client)
        assert client.get("/app/sessions").status_code == 200
        assert connects(client, "/app/events")
        assert client.get("/v1/models").status_code == 401


def test_with_only_a_password_the_api_refuses_without_a_key(site: tuple[TestClient, Starlette]):
    assert other_browser(site[0]).get("/v1/models").status_code == 401


def test_without_both_everyone_on_this_machine_may_use_the_pages(tmp_path: Path):
    with served(tmp_path) as (client, _):
        assert client.get("/app/").status_code == 200
        assert connects(client, "/app/events")
        assert "have no password" in client.get("/app/sessions").text
        assert client.get("/app/login", follow_redirects=False).headers["location"] == "/app/"


@pytest.mark.parametrize("why", ["keys", "address", "proxy", "lost"])
def test_pages_that_others_could_reach_say_how_to_set_a_password_and_nothing_else(tmp_path: Path, why: str):
    settings = {"address": {"host": "0.0.0.0"}, "proxy": {"behind_proxy": True}}.get(why, {})
    if why == "keys":
        ApiKeys(tmp_path / "api-keys.json").add("one", frozenset(Scope) - {Scope.PAGES})
    with served(tmp_path, server=settings) as (client, app):
        if why == "lost":
            store_password(tmp_path)
            assert client.get("/app/sessions").status_code == 401
            password_path(tmp_path).unlink()
        for route in routes(pages_of(app), Route):
            if route.path in PUBLIC or "GET" not in (route.methods or ()):
                continue
            answer = client.get(address(route))
            assert answer.status_code == (401 if why == "lost" else 403), route.path
            if why != "lost":
                assert "smallsight password" in answer.text
                assert "<nav" not in answer.text
        assert not connects(client, "/app/events")


def test_a_damaged_password_file_lets_nobody_in_and_says_nothing(tmp_path: Path):
    password_path(tmp_path).write_text("{")
    with served(tmp_path) as (client, _):
        for path in ("/app/", "/app/login", "/app/sessions", "/v1/models"):
            answer = client.get(path)
            assert answer.status_code == 500
            assert str(tmp_path) not in answer.text
        assert not connects(client, "/app/events")


def test_the_cookie_is_for_https_alone_where_a_proxy_says_so(tmp_path: Path):
    store_password(tmp_path)
    for is_believed in (True, False):
        with served(tmp_path, server={"behind_proxy": is_believed}) as (client, _):
            near = TestClient(
                client.app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), follow_redirects=False
            )
            forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.8"}
            fields = {"password": PASSWORD, "form_token": form_token(near, "/app/login")}
            answer = near.post("/app/login", data=fields, headers=forwarded)
            assert ("secure" in answer.headers["set-cookie"].lower()) is is_believed
            seen = {one.address for one in Sessions(sessions_path(tmp_path)).all({generation(tmp_path)})}
            assert ("203.0.113.8" in seen) is True or not is_believed


def generation(home: Path) -> str:
    current = PagePassword(password_path(home)).current()
    assert current is not None
    return current.generation


def test_every_response_has_the_strict_policy(site: tuple[TestClient, Starlette]):
    client, app = site
    member = other_browser(client)
    log_in(member)
    for route in routes(app, Route):
        for method in sorted(route.methods or ()):
            answer = member.request(method, address(route))
            policy = answer.headers["content-security-policy"]
            assert "unsafe" not in policy, route.path
            assert "default-src 'none'" in policy, route.path
            assert re.search(r"script-src(?! 'self'(;|$))", policy) is None, route.path
            assert "frame-ancestors 'none'" in policy or policy.startswith("sandbox"), route.path
            assert answer.headers["x-content-type-options"] == "nosniff", route.path
            assert answer.headers["cross-origin-resource-policy"] == "same-origin", route.path
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert not INLINE.search(answer.text), route.path
