"""The first lines of a run say where it ran: answers and speed depend on the processor and on the runtime."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

import hypothesis
import pytest
import structlog

from new_libraries import copied_libraries
from old_objects import old_objects_aside
from smallsight.policy.log import configure_later

# Two workers share two cores. Torch's threads wait for each other by spinning: with one thread each, the
# references took a quarter of the processor time. Children inherit it.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Other programs on the machine make one example slow, or the choice of one.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")

# Hundreds of child processes import the package: each would compile it again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What takes longest begins first, so that no worker is left with it at the end. Only tests/web stays last: a
# worker keeps its browser, and with it an event loop, which forbids asyncio.run to every test that follows.
_SLOW_FIRST = (
    "tests/e2e/test_document_examples.py",
    "tests/e2e/test_ray.py",
    "tests/e2e/clients/",
    "tests/e2e/test_validate.py",
    "tests/e2e/test_serve_generated_requests.py",
    "tests/parity/test_torch_compiled.py",
    "tests/unit/training/test_training.py",
    "tests/parity/",
    "tests/e2e/",
    "tests/unit/media/",
    "tests/unit/library/",
    "tests/unit/model/",
    "tests/unit/engine/",
    "tests/unit/reading/",
)


# Slow tests of these start servers, browsers, clusters or trainings: a quarter of the time of all tests.
_LONG = ("tests/e2e/", "tests/web/", "tests/unit/benchmarks/", "tests/unit/training/")


@pytest.fixture(autouse=True)
def logging_is_nobodys() -> Iterator[None]:
    """Undo what a command run in this process configured: another test captures lines of every level."""
    configure_later(logging.NOTSET, structlog.reset_defaults)
    yield
    configure_later(logging.NOTSET, structlog.reset_defaults)


@pytest.fixture(scope="session", autouse=True)
def libraries_begin_as_copies() -> Iterator[None]:
    """Make the tables of a new library once."""
    with copied_libraries():
        yield


@pytest.fixture(scope="session", autouse=True)
def collections_are_short() -> Iterator[None]:
    """Visit only what tests make."""
    with old_objects_aside():
        yield


@pytest.fixture(autouse=True)
def scheduling_is_usual() -> Iterator[None]:
    """Fail the test that makes this process real-time: its children would starve the machine."""
    before = os.sched_getscheduler(0)
    yield
    assert os.sched_getscheduler(0) == before


class _FailuresAtOnce:
    """Says which test failed when it does: a run that is ended for its time prints no summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            lines = str(report.longrepr).strip().splitlines() or [""]
            message = next((line[1:].strip() for line in lines if line.startswith("E ")), lines[-1])
            reporter = self._config.pluginmanager.get_plugin("terminalreporter")
            reporter.write_line(f"\nFAILED {report.nodeid}: {message}")


@pytest.hookimpl(trylast=True)  # after the reporter is there
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_FailuresAtOnce(config))


def pytest_report_header() -> list[str]:
    import openvino

    from smallsight.machine.processor import processor

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [
        f"processor: {processor()}",
        f"openvino: {openvino.get_version()}, capabilities of CPU: {' '.join(capabilities)}",
    ]


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(items: list) -> None:
    _mark_slow_cases(items)
    for item in items:
        if item.nodeid.startswith(_LONG) and item.get_closest_marker("slow"):
            item.add_marker("long")

    def rank(item) -> int:
        return next(
            (number for number, begin in enumerate(_SLOW_FIRST) if item.nodeid.startswith(begin)),
            len(_SLOW_FIRST),
        )

    items.sort(key=rank)


def _mark_slow_cases(items: list) -> None:
    """Mark all cases of ``mostly_slow(n)`` tests as slow but for n, which lie evenly among them."""
    cases: dict[str, list] = {}
    for item in items:
        if item.get_closest_marker("mostly_slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for same in cases.values():
        (num,) = same[0].get_closest_marker("mostly_slow").args
        kept = {number * len(same) // num for number in range(num)}
        for number, item in enumerate(same):
            if number not in kept:
                item.add_marker("slow")
