"""Wrong settings name where they came from and what is allowed."""

from __future__ import annotations

import pytest

from smallsight.errors import SettingsError
from smallsight.settings import load_settings


@pytest.fixture(autouse=True)
def no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    monkeypatch.delenv("SMALLSIGHT_CONFIG", raising=False)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"describe": {"prompt": ""}}, "--prompt cannot be empty.", "give another value, or omit it."),
        (
            {"describe": {"precision": "nf4"}},
            "--precision cannot be 'nf4'.",
            "use one of auto, fp32, bf16, int8, int4.",
        ),
        ({"log_format": "xml"}, "--log-format cannot be 'xml'.", "use one of text, json."),
        (
            {"active_model": 7},
            "--model cannot be 7: Input should be a valid string.",
            "give another value, or omit it.",
        ),
    ],
)
def test_an_option_is_named_as_it_is_written(given, message, hint):
    with pytest.raises(SettingsError) as refused:
        load_settings(**given)
    assert (refused.value.message, refused.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SMALLSIGHT_LOG_FORMAT", "xml", "Setting log_format cannot be 'xml'."),
        ("SMALLSIGHT_DESCRIBE__PROMPT", "", "Setting describe.prompt cannot be empty."),
        ("SMALLSIGHT_DESCRIBE__MAX_TOKENS", "0", "Setting describe.max_tokens cannot be '0': "),
    ],
)
def test_the_environment_is_hinted_at_where_it_is_the_source(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(index={"ocr": False})
    assert refused.value.message.startswith(message)
    assert "SMALLSIGHT_* environment variables" in refused.value.hint
