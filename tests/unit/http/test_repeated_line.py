"""A line that a client can cause is written once in a while for each address."""

from __future__ import annotations

from structlog.testing import capture_logs

from smallsight.http.repeated_line import RepeatedLine


def test_repeats_are_counted_and_written_later():
    now_s = 100.0
    line = RepeatedLine("key_refused", every_s=10, clock=lambda: now_s)
    with capture_logs() as lines:
        for _ in range(1000):
            line.write("10.0.0.1", kind="unknown")
        line.write("10.0.0.2", kind="missing")
        now_s += 11
        line.write("10.0.0.1", kind="unknown")
        line.write("10.0.0.2", kind="missing")
    assert [(one["client"], one.get("more_like_this")) for one in lines] == [
        ("10.0.0.1", None),
        ("10.0.0.2", None),
        ("10.0.0.1", 999),
        ("10.0.0.2", None),
    ]


def test_any_number_of_addresses_share_a_few_lines():
    now_s = 0.0
    line = RepeatedLine("request_not_http", every_s=10, clock=lambda: now_s)
    with capture_logs() as lines:
        for number in range(100_000):
            line.write(f"2001:db8::{number:x}")
    assert len(lines) == 257
    assert lines[-1]["client"] == "others"
    now_s += 11
    with capture_logs() as lines:
        line.write("10.0.0.1")
        line.write("others")
    assert [one["client"] for one in lines] == ["10.0.0.1", "others"]
