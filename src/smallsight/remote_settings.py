"""Settings of a model that another server runs, and of what happens when that server does not answer.

Owns names, types, bounds and defaults of one entry; ``settings.py`` holds the table of entries.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

_MAX_KEY_CHARS = 4096


class RemoteSettings(BaseModel):
    """A model behind a server that speaks OpenAI's chat completions: llama-server, vLLM, Ollama, Smallsight.

    ``model`` is its name on that server; default: the same name. ``api_key_env`` names the environment
    variable that holds the key, ``api_key_file`` a file with it instead. ``timeout_s`` bounds the wait for
    the next piece of text. ``fallback`` is a model on this machine that answers instead. After
    ``max_failures`` failures in a row nothing is sent to the server for ``rest_s``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = Field(max_length=2000)
    model: str | None = Field(None, min_length=1, max_length=300)
    api_key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    api_key_file: Path | None = None
    connect_timeout_s: float = Field(5.0, gt=0, le=600)
    timeout_s: float = Field(60.0, gt=0, le=3600)
    retries: int = Field(2, ge=0, le=10)
    max_failures: int = Field(3, ge=1, le=100)
    rest_s: float = Field(30.0, gt=0, le=3600)
    fallback: str | None = Field(None, min_length=1, max_length=300)

    @field_validator("base_url")
    @classmethod
    def _require_plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http or https URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must not contain a user, key or query; name the key's variable in api_key_env")
        return url.rstrip("/")

    def api_key(self) -> str | None:
        """Return the key, or None if it is missing or not needed; reads the variable or the file now."""
        if self.api_key_env is not None:
            return os.environ.get(self.api_key_env) or None
        if self.api_key_file is None:
            return None
        try:
            with self.api_key_file.expanduser().open(encoding="utf-8") as stream:
                return stream.read(_MAX_KEY_CHARS).strip() or None
        except (OSError, ValueError):
            return None

    @property
    def key_source(self) -> str | None:
        """Where the key is, in words; None if the server needs none."""
        if self.api_key_env is not None:
            return f"the environment variable {self.api_key_env}"
        return None if self.api_key_file is None else f"the file {self.api_key_file}"
