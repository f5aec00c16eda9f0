"""The generator on the main server: behind a setting, below its prefix, with the server's keys."""

import pytest

from contract.served import served
from smallsight.http.api_keys import ApiKeys, Scope

ROUTES = [
    ("GET", "/"),
    ("POST", "/add_job"),
    ("GET", "/check_queue"),
    ("DELETE", "/remove_job/1"),
    ("GET", "/undelivered"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
]
MOUNTED = {"mounted": True, "app_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_needs_a_key_where_there_is_one(tmp_path, method, path):
    key = ApiKeys(tmp_path / "api-keys.json").add("rails", frozenset({Scope.USE}))
    with served(tmp_path, generator=MOUNTED) as (client, _):
        refused = client.request(method, f"/generator{path}")
        assert (refused.status_code, set(refused.json())) == (401, {"detail"})
        allowed = client.request(method, f"/generator{path}", headers={"authorization": f"Bearer {key}"})
        assert allowed.status_code in (200, 422)


def test_without_the_setting_there_is_no_generator_and_no_file_of_jobs(tmp_path):
    with served(tmp_path) as (client, _):
        assert client.get("/generator/check_queue").status_code == 404
    assert not (tmp_path / "generator.sqlite3").exists()


def test_jobs_are_counted_below_the_prefix(tmp_path):
    with served(tmp_path, generator=MOUNTED) as (client, _):
        assert client.get("/generator/check_queue").json() == {"queue_length": 0}
        refused = client.post(
            "/generator/add_job", content=b"{", headers={"content-type": "application/json"}
        )
        assert (refused.status_code, set(refused.json())) == (400, {"detail"})
        assert client.get("/generator/nothing").json() == {"detail": "Not Found"}
