import io
import json
import logging
import sys

import pytest
import structlog

from clocks import HandClock
from smallsight.services.logs import NoRepeats, configure_logging


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_does_not_show_what_was_in_variables(capsys, log_format):
    configure_logging("info", log_format)
    secret = "ss-" + "k" * 20
    try:
        raise ValueError("it failed")
    except ValueError:
        structlog.get_logger("x").exception("request_failed", id=1)
    finally:
        structlog.reset_defaults()  # the captured stream is closed after this test
    told = capsys.readouterr().err
    assert "ValueError: it failed" in told
    assert secret not in told


def test_json_is_one_object_a_line(capsys):
    configure_logging("info", "json")
    logger = structlog.get_logger("x")
    try:
        with structlog.contextvars.bound_contextvars(request_id="req_1"):
            logger.info("request", route="/v1", what=b"\xff", why="two\nlines \u2028 \U0001f600")
        logger.debug("not told")
        logger.warning("plain")
        logging.getLogger("uvicorn.error").warning("Invalid %s", "request")
    finally:
        configure_logging("info")
        structlog.reset_defaults()
    first, second, third = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["event"] == "request"
    assert (first["request_id"], first["level"], first["route"]) == ("req_1", "info", "/v1")
    assert first["why"] == "two\nlines \u2028 \U0001f600"
    assert first["timestamp"].endswith("Z")
    assert "request_id" not in second
    assert (third["event"], third["logger"], third["level"]) == (
        "Invalid request",
        "uvicorn.error",
        "warning",
    )


def test_the_same_line_of_a_library_is_written_once_and_counted():
    lines = []
    logger = logging.Logger("busy")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    clock = HandClock(100.0)
    logger.addFilter(NoRepeats(every_s=1.0, clock=clock))
    for number in range(100):
        logger.warning("no more files")
        logger.warning("number %d", number)
    assert lines == ["no more files", "number 0"]
    clock.now_s += 1.05
    logger.warning("no more files")
    assert lines[2:] == ["no more files (99 more like this)"]


def test_a_log_line_reaches_the_standard_error_of_its_moment(monkeypatch):
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    configure_logging("info")
    try:
        monkeypatch.setattr(sys, "stderr", second)
        first.close()
        structlog.get_logger("x").info("still_written")
    finally:
        structlog.reset_defaults()
    assert "still_written" in second.getvalue()
