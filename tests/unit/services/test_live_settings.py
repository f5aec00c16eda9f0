from pathlib import Path

import pytest

from smallsight.errors import SettingsError
from smallsight.services.live_settings import LiveSettings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    return tmp_path / "smallsight.toml"


def test_a_change_is_seen_and_overrides_stay(file: Path):
    live = LiveSettings({"server": {"port": 1}})
    assert live.current().active_model is None
    file.write_text('active_model = "test"\n[server]\nport = 2\n')
    assert (live.current().active_model, live.current().server.port) == ("test", 1)
    file.unlink()
    assert live.current().active_model is None


def test_the_file_is_read_only_when_it_has_changed(file: Path):
    file.write_text('active_model = "test"\n')
    live = LiveSettings()
    assert live.current() is live.current()


def test_a_file_that_has_become_wrong_changes_nothing(file: Path):
    file.write_text('active_model = "test"\n')
    live = LiveSettings()
    for wrong in ("active_model = [", "[memory]\nmax_gb = -1\n"):
        file.write_text(wrong)
        assert live.current().active_model == "test"
    file.write_text('active_model = "other"\n')
    assert live.current().active_model == "other"


def test_the_first_reading_has_to_work(file: Path):
    file.write_text("[memory]\nmax_gb = -1\n")
    with pytest.raises(SettingsError):
        LiveSettings()


@pytest.mark.parametrize("before", ["", 'active_model = "first"\n'])
@pytest.mark.parametrize("by_environment", [False, True])
def test_a_name_written_into_the_file_is_newer_than_the_flag(
    file: Path, monkeypatch: pytest.MonkeyPatch, before: str, by_environment: bool
):
    file.write_text(before)
    if by_environment:
        monkeypatch.setenv("SMALLSIGHT_ACTIVE_MODEL", "given")
    live = LiveSettings({} if by_environment else {"active_model": "given"})
    assert live.current().active_model == "given"
    file.write_text(before + "threads = 3\n")  # says nothing new about it
    assert (live.current().active_model, live.current().threads) == ("given", 3)
    file.write_text('active_model = "other"\n')
    assert live.current().active_model == "other"
    file.write_text("active_model = [")
    assert live.current().active_model == "other"
    file.write_text("active_model = 3\n")
    assert live.current().active_model == "other"
    file.write_text(before)
    assert live.current().active_model == "given"
