from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from smallsight import settings_snapshot
from smallsight.errors import SettingsError
from smallsight.library_settings import SECTIONS, LibrarySettings
from smallsight.settings import Settings, load_settings
from smallsight.settings_snapshot import (
    RememberedSettings,
    load_library_settings,
    snapshot_path,
    values_of,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A data folder alone in the environment, without a file of settings."""
    for name in [name for name in os.environ if name.upper().startswith("SMALLSIGHT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("SMALLSIGHT_HOME", str(home))
    return home


def remembered():
    """Return the settings from the snapshot, and fail if they were not in it."""
    settings = load_library_settings()
    assert isinstance(settings, RememberedSettings)
    return settings


def read_anew():
    """Return the settings, and fail if they were taken from the snapshot."""
    settings = load_library_settings()
    assert isinstance(settings, Settings)
    return settings


def test_every_setting_of_the_protocol_is_remembered_with_its_type(home, monkeypatch):
    (home / "smallsight.toml").write_text('threads = 3\n[embedding]\nmodel_dir = "/models/ä"\n')
    monkeypatch.setenv("SMALLSIGHT_SEARCH__MIN_SIMILARITY", "0.25")
    whole = read_anew()
    settings = remembered()
    assert settings.threads == 3
    assert settings.search.min_similarity == 0.25
    num_compared = 0
    for protocol, kept, made in [
        (LibrarySettings, settings, whole),
        *((one, getattr(settings, name), getattr(whole, name)) for name, one in SECTIONS.items()),
    ]:
        for name in [name for name, member in vars(protocol).items() if isinstance(member, property)]:
            if protocol is LibrarySettings and name in SECTIONS:
                continue
            num_compared += 1
            assert getattr(kept, name) == getattr(made, name)
            assert type(getattr(kept, name)) is type(getattr(made, name))
    assert num_compared == 18


def test_an_edited_file_is_read(home):
    file = home / "smallsight.toml"
    file.write_text("threads = 1\n")
    assert read_anew().threads == 1
    assert remembered().threads == 1
    state = file.stat()
    file.write_text("threads = 2\n")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert read_anew().threads == 2
    assert remembered().threads == 2
    file.unlink()
    assert read_anew().threads == 0


@pytest.mark.parametrize("name", ["SMALLSIGHT_SEARCH__LIMIT", "smallsight_search__limit"])
def test_a_changed_variable_is_read(monkeypatch, name):
    read_anew()
    monkeypatch.setenv(name, "7")
    assert read_anew().search.limit == 7
    assert remembered().search.limit == 7
    monkeypatch.delenv(name)
    assert read_anew().search.limit == 20


def test_another_file_of_settings_is_read(home, monkeypatch):
    read_anew()
    other = home / "other.toml"
    other.write_text("threads = 5\n")
    monkeypatch.setenv("SMALLSIGHT_CONFIG", str(other))
    assert read_anew().threads == 5
    assert remembered().threads == 5
    other.unlink()
    with pytest.raises(SettingsError, match="SMALLSIGHT_CONFIG"):
        load_library_settings()


def test_a_wrong_value_is_reported_every_time(home):
    read_anew()
    (home / "smallsight.toml").write_text("threads = -1\n")
    for _ in range(2):
        with pytest.raises(SettingsError, match="threads"):
            load_library_settings()


def test_another_version_reads_its_settings(monkeypatch):
    read_anew()
    remembered()
    monkeypatch.setattr(settings_snapshot, "__version__", "99.0")
    read_anew()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda kept: kept[:-1],
        lambda kept: kept.replace(b'"limit": 20', b'"limit": 21'),
        lambda kept: kept[1:],
        lambda kept: b"\x00" * len(kept),
    ],
    ids=["empty", "cut", "another value", "another digest", "zeros"],
)
def test_a_damaged_snapshot_is_written_anew(damage):
    read_anew()
    whole = snapshot_path().read_bytes()
    snapshot_path().write_bytes(damage(whole))
    assert read_anew().search.limit == 20
    assert snapshot_path().read_bytes() == whole


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_snapshot_that_others_can_write_is_not_used(mode):
    read_anew()
    assert snapshot_path().stat().st_mode & 0o777 == 0o600
    snapshot_path().chmod(mode)
    read_anew()
    remembered()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away")
def test_a_snapshot_of_another_user_is_not_used():
    read_anew()
    os.chown(snapshot_path(), 12345, -1)
    read_anew()
    assert snapshot_path().stat().st_uid == os.geteuid()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_in_its_place_is_not_followed(home):
    read_anew()
    elsewhere = home / "elsewhere"
    snapshot_path().rename(elsewhere)
    snapshot_path().symlink_to(elsewhere)
    read_anew()


def test_a_file_that_changes_while_it_is_read_leaves_no_snapshot(home, monkeypatch):
    file = home / "smallsight.toml"

    def load_and_edit():
        settings = load_settings()
        file.write_text("threads = 9\n")
        return settings

    monkeypatch.setattr("smallsight.settings.load_settings", load_and_edit)
    assert read_anew().threads == 0
    assert not snapshot_path().exists()


def test_no_folder_is_made_for_it(home, monkeypatch):
    home.rmdir()
    read_anew()
    assert not home.exists()
    home.mkdir()
    elsewhere = home / "elsewhere"
    (home / "smallsight.toml").write_text(f"home = {json.dumps(str(elsewhere))}\n")
    monkeypatch.setenv("SMALLSIGHT_CONFIG", str(home / "smallsight.toml"))
    monkeypatch.delenv("SMALLSIGHT_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    assert read_anew().home == elsewhere
    assert not elsewhere.exists()
    assert not (home / "data").exists()


def test_a_data_folder_that_cannot_be_written_only_takes_longer(home):
    (home / "graphs").write_text("in the way")
    read_anew()
    read_anew()


def test_the_environment_is_in_it_only_as_a_digest(monkeypatch):
    monkeypatch.setenv("SMALLSIGHT_REMOTE_KEY", "s3cret")
    load_library_settings()
    assert b"s3cret" not in snapshot_path().read_bytes()


def test_a_type_that_json_lacks_is_refused():
    with pytest.raises(TypeError, match="tuple"):
        values_of(type("Odd", (), {"limit": (1,)})(), type("P", (), {"limit": property()}))


def test_reading_it_imports_no_pydantic():
    read_anew()
    code = (
        "import sys; from smallsight.settings_snapshot import load_library_settings as load; load(); "
        "sys.exit(any(name.startswith('pydantic') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
