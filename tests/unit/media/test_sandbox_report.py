from __future__ import annotations

import platform
import sys

import pytest

from smallsight.media.landlock import is_available
from smallsight.media.sandbox_report import sandbox_features, sandbox_report
from smallsight.settings import Limits


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"},
    reason="elsewhere some restrictions are missing",
)
def test_everything_is_in_force_on_linux():
    report = sandbox_report(Limits())
    missing = [] if is_available() else ["file_reads_denied"]
    assert list(report.reasons) == missing
    assert len(report.features) == 10
    assert [name for name, in_force in report.features.items() if not in_force] == missing


def test_features_are_named_everywhere():
    assert {"network_denied", "memory_limited", "dies_with_parent"} <= set(sandbox_features(Limits()))
