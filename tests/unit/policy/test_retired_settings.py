"""Settings that are gone are dropped, with a line that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.errors import SettingsError
from smallsight.settings import load_settings


def test_a_retired_setting_loads_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    (tmp_path / "smallsight.toml").write_text('[index]\nocr_reader = "rapidocr"\nocr_max_side_px = 1200\n')
    assert load_settings().index.ocr_max_side_px == 1200
    said = "".join(capsys.readouterr())
    assert "index.ocr_reader" in said
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR_READER", "smallsight")
    assert load_settings().index.ocr_max_side_px == 1200


def test_an_unknown_setting_is_still_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    (tmp_path / "smallsight.toml").write_text("[index]\nocr_readers = 3\n")
    with pytest.raises(SettingsError):
        load_settings()
