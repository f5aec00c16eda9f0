from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as ops
from structlog.testing import capture_logs

from forked_commands import command_server
from smallsight.graph.compiled import CompiledNetwork
from smallsight.graph.linear import linear
from smallsight.reading.remembered_network import load_or_compile

WEIGHT = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
SCRIPT = """
import numpy as np, openvino as ov
from pathlib import Path
from openvino import opset15 as ops
from smallsight.graph.linear import linear
from smallsight.reading.remembered_network import load_or_compile
def build():
    x = ops.parameter([-1, -1, 64], np.float32)
    y = linear(x, np.ones((64, 64), np.float32), np.zeros(64, np.float32))
    return ov.Model([ops.result(y)], [x], "x")
for _ in range(8):
    network = load_or_compile(build, {{"of": "shared"}}, prepared_dir=Path({folder!r}), threads=1)
    assert (network.model([np.ones((1, 1, 64), np.float32)])[0] == 64).all()
    for path in Path({folder!r}).glob("*.network"):
        path.unlink(missing_ok=True)
load_or_compile(build, {{"of": "shared"}}, prepared_dir=Path({folder!r}), threads=1)
"""
INPUT = np.ones((1, 1, 64), np.float32)


def build() -> ov.Model:
    parameter = ops.parameter([-1, -1, 64], np.float32)
    return ov.Model([ops.result(linear(parameter, WEIGHT, np.zeros(64, np.float32)))], [parameter], "test")


def must_not_build() -> ov.Model:
    raise AssertionError("built again although it was remembered")


def is_right(network: CompiledNetwork) -> bool:
    return bool(np.allclose(network.model([INPUT])[0][0, 0], WEIGHT.sum(1), atol=1e-4))


def load(folder: Path | None, identity: str = "one") -> CompiledNetwork:
    return load_or_compile(build, {"of": identity}, prepared_dir=folder, threads=1)


def test_second_load_takes_the_file_and_gives_the_same(tmp_path: Path):
    folder = tmp_path / "new" / "graphs"
    first = load(folder)
    second = load_or_compile(must_not_build, {"of": "one"}, prepared_dir=folder, threads=2)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert is_right(first)
    assert is_right(second)
    assert second.model.get_property("INFERENCE_NUM_THREADS") == 2


def test_another_identity_is_another_file(tmp_path: Path):
    load(tmp_path)
    assert not load(tmp_path, "two").from_cache
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_folder_nothing_is_kept():
    assert not load(None).from_cache
    assert is_right(load(None))


@pytest.mark.parametrize("damage", ["empty", "short", "half", "flipped", "long", "foreign"])
def test_a_damaged_file_is_built_again_and_logged(tmp_path: Path, damage: str):
    load(tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    damaged = {
        "empty": b"",
        "short": whole[:5],
        "half": whole[:middle],
        "flipped": flipped,
        "long": whole + b"x",
        "foreign": b"00000000",  # a valid checksum of nothing
    }
    path.write_bytes(damaged[damage])
    with capture_logs() as logs:
        again = load(tmp_path)
    assert not again.from_cache
    assert is_right(again)
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert load(tmp_path).from_cache


def test_a_folder_that_cannot_be_written_is_logged_and_harmless(tmp_path: Path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    with capture_logs() as logs:
        network = load(in_the_way / "graphs")
    assert is_right(network)
    assert "network_not_remembered" in [entry["event"] for entry in logs]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path):
    load(tmp_path)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()  # the finished file cannot take this name
    with capture_logs() as logs:
        assert is_right(load(tmp_path))
    assert "network_not_remembered" in [entry["event"] for entry in logs]
    assert list(tmp_path.iterdir()) == [path]


def test_processes_may_write_the_same_network_at_once(tmp_path: Path):
    program = SCRIPT.format(folder=str(tmp_path))
    children = [command_server().start(program, os.environ) for _ in range(2)]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    assert load(tmp_path, "shared").from_cache
    assert [path.suffix for path in tmp_path.iterdir()] == [".network"]
