"""Requests made up from the server's own description: none may be an error of the server.

First those at the bounds: for each field of each route its smallest, largest and forbidden values, each
alone, and once more within a request that is otherwise answered. Then ones that are wrong or right in many
places at once: ``GENERATED_CASES`` says how many of each kind for each route that takes anything.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from smallsight.serve.app import make_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving

from .serving import Server, running

CASES = int(os.environ.get("GENERATED_CASES", "30"))  # making one takes twenty times as long as answering it
ANSWERED = {"messages": [{"role": "user", "content": "hello"}], "input": "hello"}
CONNECTIONS = requests.Session()  # one connection for all of them: a new one costs more than an answer
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
    with running(tmp_path_factory.mktemp("generated") / "home", "--model", "test", threads="1") as one:
        yield one
        lines = one.http.get("/metrics").text.splitlines()
        counts = [float(line.split()[-1]) for line in lines if line.startswith("smallsight_requests_total{")]
        sys.stdout.write(f"{sum(counts):.0f} requests\n")


def check_answer(server: Server, case: Any) -> int:
    response = case.call(base_url=server.url, session=CONNECTIONS)
    case.validate_response(response, checks=CHECKS)
    return response.status_code


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_no_value_at_a_bound_is_an_error_of_the_server(server: Server, operation: Any, mode: GenerationMode):
    generation = operation.schema.config.generation_for(operation=operation, phase="coverage")
    cases = operation.schema.iter_coverage_cases(
        operation, generation_modes=[mode], generation_config=generation
    )
    statuses, answered = Counter(), Counter()
    for case in cases:
        statuses[check_answer(server, case)] += 1
        if isinstance(case.body, dict) and (given := ANSWERED.keys() & case.body.keys()):
            case.body = {**case.body, **{name: ANSWERED[name] for name in given}}
            answered[check_answer(server, case)] += 1
    print(f"{operation.label}: {dict(statuses)}, {dict(answered)}")
    assert statuses
    if mode is GenerationMode.POSITIVE and operation.body:
        assert answered[200] > 0
    assert server.process.poll() is None


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.body or one.path_parameters], ids=lambda one: one.label
)
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
        statuses.append(check_answer(server, case))

    check()
    assert statuses
    assert server.process.poll() is None
