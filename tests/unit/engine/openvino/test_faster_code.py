"""Who computes a model's text where both can: the one that was faster when this machine was measured."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from native_decoders import needs_extension
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.loading import load_engine
from smallsight.engine.native.tile_encoder import encoder_obstacle
from smallsight.engine.openvino import faster_code
from smallsight.engine.openvino.weight_store import open_stored
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.graph.known_speeds import SpeedComparison, speeds_here
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.quant.scheme import parse_scheme
from smallsight.settings import Limits
from tiny_moondream2 import TinyMoondream2, write_tiny_moondream2
from tiny_smolvlm import SHAPES, make_checkpoint

PICTURE = Image.new("RGB", (70, 50), "teal")
pytestmark = needs_extension


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch):
    monkeypatch.setattr(faster_code, "_MEASURED", {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", SHAPES[0])


def answer(folder, prepared_dir, *, family="smolvlm", **given):
    options = EngineOptions(cache_bytes=4 << 20, chunk_tokens=64, uses_kernels=True, **given)
    engine = load_engine(
        family, folder, parse_scheme("int8"), threads=1, prepared_dir=prepared_dir, options=options
    )
    with VisionLanguageModel(engine, name="tiny", precision="int8", limits=Limits()) as model:
        return model.describe(PICTURE, max_tokens=6, ignore_stop=True).token_ids


def store(prepared_dir, extension_s, openvino_s):
    """Overwrite every time of this machine."""
    path = prepared_dir / "faster-code.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    for rows in state.values():
        for row in rows.values():
            row.update(extension_s=extension_s, openvino_s=openvino_s)
    path.write_text(json.dumps(state), encoding="utf-8")


def test_it_is_measured_once_and_kept(folder, tmp_path, capsys, monkeypatch):
    answer(folder, tmp_path, measures_kernels=True)
    (name,) = [one for one in speeds_here(tmp_path) if one.startswith("text gated")]
    found = speeds_here(tmp_path)[name]
    assert min(found.extension_s, found.openvino_s) > 0
    assert "code_measured" in "".join(capsys.readouterr())
    monkeypatch.setattr(faster_code, "_MEASURED", {})
    answer(folder, tmp_path, measures_kernels=True)
    assert "code_measured" not in "".join(capsys.readouterr())
    assert speeds_here(tmp_path)[name] == found


@pytest.mark.parametrize(
    ("seconds", "line"),
    [((1.0, 0.5), "OpenVINO is faster on this machine"), ((0.5, 1.0), "kernels_used")],
    ids=["OpenVINO", "the extension"],
)
def test_the_faster_one_computes(folder, tmp_path, capsys, monkeypatch, seconds, line):
    answer(folder, tmp_path, measures_kernels=True)
    store(tmp_path, *seconds)
    monkeypatch.setattr(faster_code, "_MEASURED", {})
    capsys.readouterr()
    assert answer(folder, tmp_path, measures_kernels=True)
    assert line in "".join(capsys.readouterr())


def test_nothing_is_measured_unless_it_is_asked_for(folder, tmp_path, capsys):
    answer(folder, tmp_path)
    assert speeds_here(tmp_path) == {}
    assert "kernels_used" in "".join(capsys.readouterr())


def test_without_a_folder_the_process_remembers(folder, capsys):
    answer(folder, None, measures_kernels=True)
    first = "".join(capsys.readouterr()).count("code_measured")
    answer(folder, None, measures_kernels=True)
    assert first == (1 if encoder_obstacle() else 2)  # the text, and the tower where it is computed
    assert "code_measured" not in "".join(capsys.readouterr())


def test_moondream2_is_measured_too(tmp_path):
    folder = write_tiny_moondream2(tmp_path / "moondream2", TinyMoondream2("wide", hidden=96, heads=6))
    answer(folder, tmp_path / "prepared", family="moondream2", measures_kernels=True)
    assert any(one.startswith("text parallel") for one in speeds_here(tmp_path / "prepared"))


def test_a_tower_is_measured_with_the_code_that_this_processor_has(folder, tmp_path):
    scheme = parse_scheme("int8")
    options = EngineOptions(uses_kernels=True, measures_kernels=True)
    request = LoadRequest(folder, scheme, threads=1, prepared_dir=tmp_path, options=options)
    model = SmolVLMModel(folder, scheme, 1 << 20)
    found = faster_code.tower_comparison(model, open_stored(model, request))()
    assert min(found.extension_s, found.openvino_s) > 0
    assert [name.split()[0] for name in speeds_here(tmp_path)] == ["tiles"]


def test_measuring_takes_turns():
    order = []
    found = faster_code.measured_in_turns(lambda: order.append("extension"), lambda: order.append("openvino"))
    assert order == ["extension", "openvino"] * (len(order) // 2)
    assert len(order) > 8
    assert isinstance(found, SpeedComparison)
