"""Requests made up from the server's own description: none may be an error of the server.

First those at the bounds: for each field of each route its smallest, largest and forbidden values, each
alone, and once more within a request that is otherwise answered. Then ones that are wrong or right in many
places at once: ``CASES`` of each kind for each route that takes anything, ten times as many with
SMALLSIGHT_TEST_SCALE=10. Every answer has to have a status and a shape that the description names.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from error_bodies import require_error, tenant_of
from scale import scaled

from .described_requests import Refined, operations
from .every_protocol import everything
from .serving import Server

CASES = scaled(6)  # making one takes twenty times as long as answering it
STEP = 3 if scaled(1) == 1 else 1  # every third forbidden value, or all of them
ANSWERED = {"messages": [{"role": "user", "content": "hello"}], "input": "hello", "prompt": "hello"}
NAMED = {"/v1/messages": "test", "/api/show": "test", "/api/pull": "test", "/api/embed": "all-minilm"}
UNANSWERED = {"/predict", "/v1/messages/count_tokens"}  # by the model `test`, or without a form
NOT_SERVED = (501, "/predict")  # a task of Immich that another server does
CONNECTIONS = requests.Session()  # one connection for all of them: a new one costs more than an answer
CONNECTIONS.trust_env = False  # looking for proxies, each time, costs more than sending the request
CHECKS = [
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]

with tempfile.TemporaryDirectory() as home:
    OPERATIONS, ENTRIES = operations(Path(home))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with everything(tmp_path_factory.mktemp("generated")) as one:
        yield one
        lines = one.http.get("/metrics").text.splitlines()
        requested = [line for line in lines if line.startswith("smallsight_requests_total{")]
        counts, failed = (
            [float(line.split()[-1]) for line in some]
            for some in (requested, [line for line in requested if 'status="5' in line])
        )
        sys.stdout.write(f"{sum(counts):.0f} requests, {sum(failed):.0f} with a status of 500 or more\n")


@pytest.fixture(scope="module")
def refined(server: Server) -> Refined:
    return Refined(server)


def check_answer(server: Server, case: Any) -> int:
    response = case.call(base_url=server.url, session=CONNECTIONS, timeout=60)
    case.validate_response(response, checks=CHECKS)
    assert response.status_code < 500 or (response.status_code, case.operation.path) == NOT_SERVED
    if response.status_code >= 400 and tenant_of(case.operation.path) != "/app":
        require_error(case.operation.path, response.json())
    return response.status_code


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_no_value_at_a_bound_is_an_error_of_the_server(
    server: Server, refined: Refined, operation: Any, mode: GenerationMode
):
    generation = operation.schema.config.generation_for(operation=operation, phase="coverage")
    cases = operation.schema.iter_coverage_cases(
        operation, generation_modes=[mode], generation_config=generation
    )
    statuses, answered = Counter(), Counter()
    for case in islice(cases, 0, None, STEP if mode is GenerationMode.NEGATIVE else 1):
        statuses[check_answer(server, refined.refine(case, {}))] += 1
        known = ANSWERED | ({"model": NAMED[operation.path]} if operation.path in NAMED else {})
        if isinstance(case.body, dict) and (given := known.keys() & case.body.keys()):
            case.body = {**case.body, **{name: known[name] for name in given}}
            answered[check_answer(server, case)] += 1
    print(f"{operation.label}: {dict(statuses)}, {dict(answered)}")
    assert statuses
    if mode is GenerationMode.POSITIVE and operation.body and operation.path not in UNANSWERED:
        assert (answered or statuses)[200] > 0
    assert server.process.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.body or one.path_parameters], ids=lambda one: one.label
)
def test_no_request_is_an_error_of_the_server(
    server: Server, refined: Refined, operation: Any, mode: GenerationMode
):
    statuses = Counter()
    if mode is GenerationMode.NEGATIVE and not operation.body:
        return  # nothing in it could be wrong
    with_tasks = operation.path == "/predict"
    tasks = ENTRIES.as_strategy(generation_mode=mode).map(lambda case: case.body) if with_tasks else st.none()

    @given(case=operation.as_strategy(generation_mode=mode), tasks=tasks)
    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any, tasks: Any) -> None:
        statuses[check_answer(server, refined.refine(case, tasks))] += 1

    check()
    print(f"{operation.label}: {dict(statuses)}")
    assert statuses
    assert server.process.poll() is None
