from pathlib import Path

import pytest

from smallsight.errors import SettingsError
from smallsight.services.effective_settings import overridden_settings
from smallsight.services.live_settings import LiveSettings
from smallsight.services.setting_fields import FieldKind, setting_field
from smallsight.services.settings_file import InvalidSettingsError, change_settings
from smallsight.settings import load_settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    return tmp_path / "smallsight.toml"


def test_a_file_is_made_for_this_user_only(file: Path):
    change_settings({("active_model",): "test", ("describe", "max_tokens"): "40"})
    assert (load_settings().active_model, load_settings().describe.max_tokens) == ("test", 40)
    assert "max_tokens = 40\n" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_comments_order_and_permissions_stay(file: Path):
    file.write_text('# mine\nthreads = 2  # two\n\n[describe] # how\nlength = "short"\nmax_tokens = 9\n')
    file.chmod(0o644)
    change_settings({("describe", "max_tokens"): 12, ("describe", "length"): None, ("active_model",): "test"})
    text = file.read_text()
    assert text.startswith("# mine\nthreads = 2  # two\n")
    assert "[describe] # how\nmax_tokens = 12\n" in text
    assert "length" not in text
    assert file.stat().st_mode & 0o777 == 0o644
    assert load_settings().active_model == "test"


def test_what_does_not_change_leaves_the_file_alone(file: Path):
    file.write_text("threads   =   2\n")
    before = file.stat().st_mtime_ns
    change_settings({("threads",): 2, ("active_model",): None})
    assert (file.read_text(), file.stat().st_mtime_ns) == ("threads   =   2\n", before)


def test_nothing_is_written_if_one_value_is_invalid_and_each_is_named(file: Path):
    wrong = {("describe", "max_tokens"): "0", ("describe", "detail"): "huge", ("threads",): "3"}
    with pytest.raises(InvalidSettingsError) as raised:
        change_settings(wrong)
    assert raised.value.problems.keys() == {"describe.max_tokens", "describe.detail"}
    assert "greater than or equal to 1" in raised.value.problems["describe.max_tokens"]
    assert "auto, high, low" in raised.value.problems["describe.detail"]
    assert not file.exists()


def test_a_table_is_replaced_as_a_whole_and_removed(file: Path):
    file.write_text('[remotes.big]  # at home\nbase_url = "http://a/v1"\napi_key_env = "KEY"\n')
    change_settings({("remotes", "big"): {"base_url": "http://b/v1/", "timeout_s": "9"}})
    assert load_settings().remotes["big"].model_dump(exclude_unset=True) == {
        "base_url": "http://b/v1",
        "timeout_s": 9.0,
    }
    assert "# at home" in file.read_text()
    change_settings({("remotes", 'odd "name"'): {"base_url": "http://c/v1"}, ("remotes", "big"): None})
    assert list(load_settings().remotes) == ['odd "name"']


def test_a_malformed_file_is_not_overwritten(file: Path):
    file.write_text("threads = [")
    with pytest.raises(SettingsError):
        change_settings({("active_model",): "test"})
    assert file.read_text() == "threads = ["


def test_a_link_stays_a_link(file: Path, tmp_path: Path):
    target = tmp_path / "elsewhere.toml"
    target.write_text("threads = 1\n")
    file.symlink_to(target)
    change_settings({("threads",): 2})
    assert file.is_symlink()
    assert target.read_text() == "threads = 2\n"


@pytest.mark.parametrize("chosen", ["test", "other"])
def test_a_model_that_a_person_chooses_comes_before_the_flag(file: Path, chosen: str):
    file.write_text('active_model = "test"\n')
    live = LiveSettings({"active_model": "given"})
    change_settings({("active_model",): chosen})
    live.note_choice()
    assert live.current().active_model == chosen


def test_flags_and_variables_override(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMALLSIGHT_DESCRIBE__MODEL", "a")
    monkeypatch.setenv("SMALLSIGHT_REMOTES", '{"big": {"base_url": "http://a/v1"}}')
    found = overridden_settings({"server": {"port": 1}})
    assert found["describe.model"] == "environment"
    assert found["remotes"] == "environment"
    assert found["server.port"] == "flag"
    assert "describe.prompt" not in found


def test_fields_know_their_bounds_and_choices():
    tokens = setting_field("describe.max_tokens")
    assert (tokens.kind, tokens.minimum, tokens.maximum, tokens.default) == (FieldKind.WHOLE, 1, 4096, 96)
    assert setting_field("describe.length").choices == ("short", "normal")
    assert setting_field("describe.length").is_optional
    assert setting_field("memory.max_gb").kind is FieldKind.NUMBER
    assert setting_field("index.ocr").kind is FieldKind.SWITCH
    with pytest.raises(KeyError):
        setting_field("describe.nothing")
