from pathlib import Path

import pytest

from smallsight.errors import SettingsError
from smallsight.services.effective_settings import effective_settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    return tmp_path / "smallsight.toml"


def told() -> dict[str, tuple[object, str]]:
    return {one.name: (one.value, one.origin) for one in effective_settings()}


def test_each_value_has_its_origin(file: Path, monkeypatch: pytest.MonkeyPatch):
    file.write_text(
        'threads = 3\nactive_model = "a"\n[server]\nport = 1\nallowed_hosts = ["x"]\n'
        "[models.test.inference]\nmax_tokens = 3\n"
    )
    monkeypatch.setenv("SMALLSIGHT_SERVER__PORT", "2")
    monkeypatch.setenv("SMALLSIGHT_MEMORY", '{"max_gb": 1.5}')
    found = told()
    assert found["threads"] == (3, str(file))
    assert found["active_model"] == ("a", str(file))
    assert found["server.port"] == (2, "environment")
    assert found["server.host"] == ("127.0.0.1", "default")
    assert found["server.allowed_hosts"] == (["x"], str(file))
    assert found["memory.max_gb"] == (1.5, "environment")
    assert found["memory.keep_alive_s"] == (300.0, "default")
    assert found["home"] == (str(file.parent), "environment")
    assert found["models"] == ({"test": {"inference": {"max_tokens": 3}}}, str(file))


def test_without_anything_all_are_defaults(file: Path):
    assert {origin for name, (_, origin) in told().items() if name != "home"} == {"default"}


def test_a_wrong_value_is_a_sentence(file: Path):
    file.write_text("[server]\nport = 70000\n")
    with pytest.raises(SettingsError, match=r"server\.port"):
        effective_settings()


def test_flags_come_first(file: Path, monkeypatch: pytest.MonkeyPatch):
    file.write_text('active_model = "a"\n[server]\nport = 1\nhost = "localhost"\n')
    monkeypatch.setenv("SMALLSIGHT_SERVER__PORT", "2")
    flags = {"server": {"port": 3}, "active_model": "b"}
    found = {one.name: (one.value, one.origin) for one in effective_settings(flags)}
    assert found["server.port"] == (3, "flag")
    assert found["active_model"] == ("b", "flag")
    assert found["server.host"] == ("localhost", str(file))
    assert found["threads"] == (0, "default")
