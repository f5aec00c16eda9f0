"""Every route of the server, walked: who may use it, what its errors look like, and what the guide says."""

import base64
import re

import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from contract.checkout import GUIDE
from contract.served import served
from error_bodies import require_error, tenant_of
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.serve.mounting import WholePaths
from web.logged_in import store_password

# What strangers may see. Six at most; each tells nothing that a scan of the port does not.
PUBLIC = {"/", "/app", "/docs", "/openapi.json", "/health/live", "/health/ready"}
# Of the pages, which ask for the password: the form for it, and files that are the same for everyone.
PUBLIC_PAGES = {
    "/app/login",
    "/app/manifest.webmanifest",
    "/app/offline",
    "/app/static/NAME",
    "/app/worker.js",
}
REFUSED = {f"/api/{name}" for name in ("copy", "create", "delete", "push")}  # for everyone
ORIGIN = "https://page.example"
EVERYTHING = {
    "immich": {"enabled": True},
    "generator": {"mounted": True, "app_url": "http://127.0.0.1:9"},
    "server": {"allowed_origins": [ORIGIN]},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


def flat(routes):
    for route in routes:
        inner = getattr(route, "routes", None)
        if isinstance(route, Mount):
            continue  # another tenant, whose routes tests/web walks
        if inner is not None:
            yield from flat(inner)
        else:
            yield route


def walked(routes, prefix=""):
    """Yield every route that a server has with its whole path; a name in a path is NAME, a number 1."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount):
            yield from walked(route.app.routes, prefix if isinstance(route, WholePaths) else path)
        elif (inner := getattr(getattr(route, "original_router", route), "routes", None)) is not None:
            yield from walked(inner, prefix)
        else:
            yield (
                re.sub(r"\{\w+\}", "NAME", re.sub(r"\{\w+:(?:int|id)\}", "1", path.replace(":path}", "}"))),
                route,
            )


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A server with a password, a key for each scope, and every tenant that a setting can mount."""
    home = tmp_path_factory.mktemp("everything")
    store_password(home)
    keys = {scope: ApiKeys(home / "api-keys.json").add(scope, frozenset({scope})) for scope in Scope}
    with served(home, **EVERYTHING) as (client, app):
        client.follow_redirects = False
        yield client, app, keys


def bearer(key):
    return {"authorization": f"Bearer {key}"}


def basic(pair):
    """Return what a client sends for an address with a name and a password before its `@`."""
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


# Every way to send a key. The walks over all routes take two of them, because all routes share one check.
SENT = {
    "bearer": bearer,
    "header": lambda key: {"x-api-key": key},
    "basic": lambda key: basic(f"anyone:{key}"),
    "basic without a name": lambda key: basic(f":{key}"),
}
# What is sent with a key, or nearly, and is refused.
REFUSED_KEYS = {
    "key as the name": basic,
    "key as the name, empty password": lambda key: basic(f"{key}:"),
    "key and more": lambda key: basic(f"anyone:{key}:"),
    "no base64": lambda key: {"authorization": f"Basic anyone:{key}"},
    "broken base64": lambda key: {"authorization": basic(f"anyone:{key}")["authorization"] + "="},
    "no UTF-8": lambda _: {"authorization": "Basic " + base64.b64encode(b"\xff:\xfe").decode()},
    "nothing after Basic": lambda _: {"authorization": "Basic"},
    "another scheme": lambda key: {"authorization": f"Digest {key}"},
    "wrong before right": lambda key: basic("anyone:") | {"x-api-key": key},
}
ONE_OF_EACH = (
    ("GET", "/v1/models"),
    ("POST", "/v1/messages"),
    ("GET", "/api/tags"),
    ("GET", "/generator/check_queue"),
    ("GET", "/ping"),
    ("POST", "/predict"),
    ("POST", "/mcp"),
)


def requested(client, method, path, headers):
    """Return what a route answers, and fail unless its error is one of its protocol."""
    address = path.replace("/static/NAME", "/static/app.css")
    answer = client.request(method, address, headers=headers)
    if answer.status_code >= 400 and method != "HEAD" and tenant_of(path) != "/app":
        require_error(path, answer.json())
    return answer


@pytest.mark.parametrize("headers", [{}, bearer("sk-of-nobody"), basic("anyone:sk-of-nobody")])
def test_every_route_of_every_protocol_refuses_strangers(everything, headers):
    client, app, _ = everything
    found = list(walked(app.routes))
    assert {path for path, _ in found} >= PUBLIC | PUBLIC_PAGES
    assert len({path for path, _ in found}) > 80
    for path, route in found:
        if isinstance(route, WebSocketRoute):
            with pytest.raises(WebSocketDisconnect), client.websocket_connect(path, headers=headers):
                pass
            continue
        statuses = {method: requested(client, method, path, headers).status_code for method in METHODS}
        if statuses["OPTIONS"] == 204:  # without a key, as it says no more than the description of the routes
            statuses["OPTIONS"] = statuses["HEAD"]
        if path in PUBLIC | PUBLIC_PAGES:
            assert statuses["GET"] in (200, 307), path
            del statuses["GET"]
            assert set(statuses.values()) <= {200, 204, 307, 403, 405}, (path, statuses)
        else:
            assert 401 in statuses.values(), (path, statuses)
            assert set(statuses.values()) <= {401, 405}, (path, statuses)


def test_every_known_path_says_its_methods_and_nothing_else(everything):
    client, app, keys = everything
    headers = bearer(keys[Scope.USE])
    declared: dict[str, set[str]] = {}
    for path, route in walked(app.routes):
        declared.setdefault(path, set()).update(getattr(route, "methods", None) or ())
    for path, methods in declared.items():
        if not methods or re.search(r"NAME|1", path):
            continue
        wanted = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        answer = client.options(path)
        assert (answer.status_code, answer.content) == (204, b""), path
        assert set(answer.headers["allow"].split(", ")) >= wanted, path  # a route with a name may have it too
        assert client.request("PROPFIND", path, headers=headers).status_code in (401, 405), path
        if "GET" in methods and not path.startswith("/app/"):
            get, head = (client.request(one, path, headers=headers) for one in ("GET", "HEAD"))
            assert (head.status_code, head.content) == (get.status_code, b""), path


@pytest.mark.parametrize("sent", ["bearer", "basic"])
def test_every_route_of_every_protocol_has_one_scope(everything, sent):
    client, app, keys = everything
    for path, route in walked(app.routes):
        if path in PUBLIC or tenant_of(path) == "/app":
            continue
        for method in sorted(set(route.methods or ("POST",)) - {"HEAD"}):
            statuses = {
                scope: requested(client, method, path, SENT[sent](key)).status_code
                for scope, key in keys.items()
            }
            allowed = {scope for scope, status in statuses.items() if status not in (401, 403)}
            wanted = Scope.MONITOR if path in ("/health", "/metrics") else Scope.USE
            assert allowed == {wanted}, (method, path, statuses)


@pytest.mark.parametrize("sent", [*SENT, *REFUSED_KEYS])
def test_every_protocol_accepts_the_same_credentials(everything, sent):
    client, _, keys = everything
    headers = (SENT | REFUSED_KEYS)[sent](keys[Scope.USE])
    for method, path in ONE_OF_EACH:
        answer = requested(client, method, path, headers)
        assert (answer.status_code == 401) == (sent in REFUSED_KEYS), path
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"] == "Bearer"  # no dialog of a browser for a key
            assert keys[Scope.USE] not in answer.text


def test_pages_of_allowed_origins_may_use_every_method_of_every_route(everything):
    client, app, _ = everything
    used = {
        (method, path)
        for path, route in walked(app.routes)
        if tenant_of(path) != "/app"
        for method in set(getattr(route, "methods", None) or ()) - {"OPTIONS"}
    }
    assert {"GET", "POST", "DELETE"} <= {method for method, _ in used}
    for method, path in sorted(used):
        asked = {"origin": ORIGIN, "access-control-request-method": method}
        answer = client.options(path, headers=asked)
        assert (answer.status_code, method in answer.headers["access-control-allow-methods"]) == (200, True)
        refused = client.options(path, headers=asked | {"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers


def test_every_route_but_pages_and_refusals_is_described(everything):
    client, app, _ = everything
    described = client.get("/openapi.json").json()["paths"]
    routed = {path for path, _ in walked(app.routes) if tenant_of(path) != "/app"} - REFUSED
    assert {re.sub(r"\{\w+\}", "NAME", path) for path in described} == {
        "/mcp" if path == "/mcp/" else path for path in routed | {"/app"}
    }


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    home = tmp_path_factory.mktemp("locked")
    keys = {scope: ApiKeys(home / "api-keys.json").add(scope, frozenset({scope})) for scope in Scope}
    with served(home) as (client, app):
        yield client, app, keys


def paths(app):
    return {path.replace("{model}", "test") for path in app.openapi()["paths"]}


def test_there_are_at_most_six_public_routes():
    assert len(PUBLIC) <= 6


def test_every_route_is_described(locked):
    _, app, _ = locked
    routed = {re.sub(r":path", "", route.path) for route in flat(app.routes) if isinstance(route, Route)}
    assert routed <= set(app.openapi()["paths"])
    assert len(app.openapi()["paths"]) >= 11


@pytest.mark.parametrize("method", METHODS)
def test_every_route_refuses_without_a_key(locked, method):
    client, app, _ = locked
    for path in paths(app):
        answer = client.request(method, path, follow_redirects=False)
        if path in PUBLIC and (method == "GET" or (method == "HEAD" and answer.status_code != 405)):
            assert answer.status_code in (200, 307), path
        else:
            allowed = (204, 405) if method == "OPTIONS" else (401, 405)
            assert answer.status_code in allowed, f"{method} {path} gave {answer.status_code}"
        if answer.status_code not in (200, 204, 307) and method != "HEAD":
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [b"", b"{", b'{"messages": []}', b"x" * 100_000])
def test_the_key_is_asked_for_before_the_body_is_looked_at(locked, body):
    client, _, _ = locked
    for path in ("/v1/chat/completions", "/v1/responses"):
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_every_route_has_one_scope(locked):
    client, app, keys = locked
    for path, operations in app.openapi()["paths"].items():
        if path in PUBLIC:
            continue
        for method in operations:
            statuses = {
                scope: client.request(
                    method, path.replace("{model}", "test"), headers={"authorization": f"Bearer {key}"}
                ).status_code
                for scope, key in keys.items()
            }
            assert [status != 403 for status in statuses.values()].count(True) == 1, (path, statuses)


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/", "/v1/models/none", "/%00", "/%ff", "/../etc/passwd", "/health/none"]
)
def test_nowhere_has_the_same_shape(locked, path):
    client, _, keys = locked
    answer = client.get(path, headers={"authorization": f"Bearer {keys[Scope.USE]}"})
    assert answer.status_code in (400, 404)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_every_answer_has_an_id_and_the_headers_of_all(locked):
    client, app, _ = locked
    for path in [*paths(app), "/nothing"]:
        answer = client.get(path, follow_redirects=False)
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


def test_the_guide_names_every_route(locked):
    _, app, _ = locked
    section = GUIDE.read_text(encoding="utf-8").split("## The server")[1].split("\n## ")[0]
    documented = set(re.findall(r"`(?:GET|POST|DELETE) (/[^`]*)`", section))
    described = {
        path.replace("{model}", "NAME").replace("{response_id}", "ID") for path in app.openapi()["paths"]
    }
    assert documented == described - {"/"}


def test_the_guide_names_the_public_routes():
    section = GUIDE.read_text(encoding="utf-8").split("### Keys")[1].split("\n## ")[0]
    sentence = section.split("route except")[1].split("requires")[0]
    assert set(re.findall(r"`([^`]+)`", sentence)) == PUBLIC
    pages = section.split("require the password, except")[1].split(". ")[0]
    assert set(re.findall(r"`([^`]+)`", pages)) == PUBLIC_PAGES


def test_a_damaged_file_of_keys_lets_nobody_in_and_says_nothing(tmp_path):
    (tmp_path / "api-keys.json").write_text("{")
    with served(tmp_path) as (client, app):
        for path in paths(app) - PUBLIC - {"/v1/chat/completions", "/v1/responses", "/v1/embeddings"}:
            answer = client.get(path)
            assert answer.status_code == 500
            assert answer.json()["error"]["message"] == "The request failed. The server's log says why."


def test_an_unforeseen_error_tells_nothing_and_has_an_id(tmp_path):
    with served(tmp_path) as (client, app):
        app.state.health = None
        answer = client.get("/health")
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "The request failed. The server's log says why."
    assert answer.headers["x-request-id"].startswith("req_")
