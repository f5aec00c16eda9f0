"""Requests made up from the server's own description: none may be an error of the server.

``GENERATED_CASES`` says how many of each kind for each route that takes anything: five times as many in all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from smallsight.serve.app import make_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving

from .serving import Server, running

CASES = int(os.environ.get("GENERATED_CASES", "1000"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
]


def description() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        return make_app(Serving(LiveSettings({"home": Path(home)}))).routes.openapi()


OPERATIONS = [one.ok() for one in schemathesis.openapi.from_dict(description()).get_all_operations()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("generated") / "home", "--model", "test") as one:
        yield one
        lines = one.http.get("/metrics").text.splitlines()
        counts = [float(line.split()[-1]) for line in lines if line.startswith("smallsight_requests_total{")]
        sys.stdout.write(f"{sum(counts):.0f} requests\n")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_no_request_is_an_error_of_the_server(server: Server, operation: Any, mode: GenerationMode):
    statuses = []
    if mode is GenerationMode.NEGATIVE and not operation.body:
        return  # nothing in it could be wrong

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        response = case.call(base_url=server.url)
        statuses.append(response.status_code)
        case.validate_response(response, checks=CHECKS)

    check()
    assert statuses
    assert server.process.poll() is None
