"""One description of the routes of every protocol: nothing of one replaces or changes that of another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from contract.served import served

EVERYTHING = {"immich": {"enabled": True}, "generator": {"mounted": True, "app_url": "http://127.0.0.1:9"}}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(tmp_path_factory.mktemp("described"), **EVERYTHING) as (one, _):
        yield one


@pytest.fixture(scope="module")
def described(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def body_schema(described: dict[str, Any], path: str) -> str:
    (content,) = described["paths"][path]["post"]["requestBody"]["content"].values()
    return content["schema"]["$ref"].rpartition("/")[2]


def test_every_reference_leads_to_a_type(described: dict[str, Any]):
    referred = set(re.findall(r"#/components/schemas/([^\"]+)", json.dumps(described)))
    assert referred <= set(described["components"]["schemas"])
    assert "$defs" not in json.dumps(described)


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/v1/chat/completions", "ChatRequest", "OpenAIErrorBody"),
        ("/v1/messages", "MessagesRequest", "AnthropicErrorBody"),
        ("/api/chat", "ChatBody", "OllamaErrorBody"),
        ("/mcp", "RpcRequest", "RpcErrorBody"),
        ("/predict", "PredictForm", "ImmichErrorBody"),
        ("/generator/add_job", "JobRequest", "GeneratorErrorBody"),
    ],
)
def test_each_protocol_has_its_bodies_and_its_errors(
    described: dict[str, Any], path: str, body: str, error: str
):
    assert body_schema(described, path) == body
    responses = described["paths"][path]["post"]["responses"]
    for status in ("400", "401", "403", "413", "429", "500", "503"):
        schema = responses[status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{error}"}, status


def test_no_route_announces_the_errors_of_the_framework(described: dict[str, Any]):
    assert "HTTPValidationError" not in json.dumps(described)


def test_the_description_of_one_protocol_stays_whole(client: TestClient, described: dict[str, Any]):
    alone = client.get("/generator/openapi.json").json()
    assert set(alone["paths"]) == {
        path.removeprefix("/generator") for path in described["paths"] if path.startswith("/generator")
    }
    assert "$ref" not in json.dumps(alone["paths"]["/add_job"])


def test_the_page_names_every_route(client: TestClient, described: dict[str, Any]):
    page = client.get("/docs").text
    for path in described["paths"]:
        assert f"{path}</code>" in page
    assert "<code>num_predict</code>" not in page, "only the fields of the body itself"
    assert "<code>keep_alive</code>" in page


def test_only_what_is_mounted_is_described(tmp_path: Path):
    with served(tmp_path) as (client, _):
        paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/chat", "/v1/messages", "/mcp"} <= set(paths)
    assert not any(path.startswith(("/predict", "/ping", "/generator")) for path in paths)
