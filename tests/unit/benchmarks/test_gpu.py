"""The GPU benchmark: what it makes of measured rows, and a dry run on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from benchmarks.gpu import read_done, read_rows, table

ROOT = Path(__file__).parents[3]
LIMITS = {"bandwidth_limit_tokens_per_s": 400.0, "matrix_limit_tokens_per_s": 1000.0}


def write_rows(path, *rows):
    path.write_text("".join(json.dumps({"model": "one", "precision": "bf16", **row}) + "\n" for row in rows))
    return path


def test_rows_are_compared_with_the_lower_limit_and_with_plain_transformers(tmp_path):
    ours = {"way": "smallsight", "batch": 64, "tokens_per_s": 100.0, "pictures_per_min": 600.0, **LIMITS}
    plain = {"way": "transformers", "batch": 1, "tokens_per_s": 20.0, "pictures_per_min": 100.0}
    path = write_rows(tmp_path / "rows", {"way": "limits", "batch": 0}, {**ours, "error": "old"}, ours, plain)
    rows = read_rows(path, ["one"])
    (found,) = (row for row in rows if row["way"] == "smallsight")
    assert found["of_limit"] == 0.25
    assert found["times_plain"] == 6.0
    lines = table(rows).splitlines()
    assert len(lines) == 3
    assert "600" in lines[1]
    assert read_rows(path, ["another"]) == []


def test_only_rows_without_an_error_are_done(tmp_path):
    rows = ({"way": "smallsight", "batch": 1}, {"way": "smallsight", "batch": 8, "error": "out of memory"})
    path = write_rows(tmp_path / "rows", *rows)
    assert read_done(path, "one") == {("bf16", "smallsight", 1)}
    assert read_done(path, "another") == read_done(tmp_path / "missing", "one") == set()
    assert "out of memory" in table(read_rows(path, ["one"]))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="torch is an extra")
def test_a_dry_run_measures_our_engine_and_plain_transformers_on_the_cpu(tmp_path):
    command = [sys.executable, "benchmarks/gpu.py", str(tmp_path), "--dry-run", "--only", "Florence-2-base"]
    command += ["--precisions", "bf16", "--json", str(tmp_path / "found.json")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["incomplete"] == []
    rows = {(row["way"], row["batch"]): row for row in found["rows"]}
    ours = {(way, batch) for way in ("smallsight", "smallsight compiled") for batch in (1, 2)}
    assert set(rows) == {("limits", 0), ("transformers", 1), *ours}
    assert not [row["error"] for row in found["rows"] if "error" in row]
    assert all(row["pictures_per_min"] > 0 for key, row in rows.items() if key[1])
    assert rows["smallsight", 1]["prompt_tokens"] == rows["transformers", 1]["prompt_tokens"]
    assert "Florence-2-base" in ran.stdout
