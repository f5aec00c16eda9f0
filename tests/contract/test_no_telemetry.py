"""Nothing is reported to anybody: OpenVINO 2026.4.1 does so when imported, unless a package is absent."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import sys
import smallsight
from smallsight.graph.compiled import runtime
runtime()
loaded = [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]
assert loaded == [], loaded
assert "openvino.tools.ovc.telemetry_stub" in sys.modules
"""


def test_loading_the_runtime_reports_nothing_and_writes_nothing_to_the_home_folder(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
