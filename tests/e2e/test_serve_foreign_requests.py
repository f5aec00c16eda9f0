"""Host x Origin x Sec-Fetch-Site x method: no foreign page and no foreign name gets in (R12)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import httpx2
import pytest

from .serving import Server, running

ALLOWED = "https://gallery.example"
HOSTS = {
    "{own}": True,
    "localhost": True,
    "[::1]:8420": True,
    "printer.example": True,  # server.allowed_hosts
    "evil.example": False,
    "localhost.evil.example": False,
    "127.0.0.1.evil.example": False,
    "printer.example.evil.example": False,
}
ORIGINS = (None, "null", "http://{own}", ALLOWED, "https://evil.example", "http://{own}.evil.example")
SITES = (None, "none", "same-origin", "same-site", "cross-site", "anything")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
READS = ("GET", "HEAD", "OPTIONS")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    names = {"allowed_hosts": '["printer.example"]', "allowed_origins": f'["{ALLOWED}"]'}
    home = tmp_path_factory.mktemp("foreign") / "home"
    with running(home, log_level="error", **{f"server__{key}": value for key, value in names.items()}) as one:
        yield one


def is_foreign(method: str, origin: str | None, site: str | None, host: str) -> bool:
    """Return what has to be refused, written independently of the server's own rule."""
    if method in READS or origin == ALLOWED:
        return False
    from_elsewhere = site is not None and site not in ("none", "same-origin")
    other_origin = origin is not None and origin != f"http://{host}"
    return from_elsewhere or other_origin


@pytest.mark.slow
def test_no_foreign_combination_is_accepted(server: Server):
    own = f"127.0.0.1:{server.port}"
    num_accepted, wrong = 0, []
    combinations = list(itertools.product(HOSTS.items(), ORIGINS, SITES, METHODS))
    assert len(combinations) == 2016
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        for (host_shape, is_known), origin_shape, site, method in combinations:
            host, origin = (
                host_shape.replace("{own}", own),
                origin_shape and origin_shape.replace("{own}", own),
            )
            headers = {"host": host, "origin": origin, "sec-fetch-site": site}
            sent = {name: value for name, value in headers.items() if value is not None}
            answer = client.request(method, "/v1/models", headers=sent)
            status = answer.status_code
            foreign = is_foreign(method, origin, site, host)
            right = status == 400 if not is_known else status == 403 if foreign else status in (200, 204, 405)
            may_read = answer.headers.get("access-control-allow-origin")
            if not right or (may_read is not None and (may_read, origin) != (ALLOWED, ALLOWED)):
                wrong.append((method, host, origin, site, status, may_read))
            num_accepted += status == 200
    assert wrong == []
    assert num_accepted == 288
