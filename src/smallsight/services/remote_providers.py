"""Models on other servers, as people add, change, try and remove them in a page.

Keys are in private files. One is sent only to the server it is for: pages show it masked, and it is removed
when the address changes to another server.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from smallsight.catalog.catalog import load_catalog
from smallsight.engine.remote.remote_engine import RemoteEngine
from smallsight.errors import ArgumentError, SmallsightError, StorageError
from smallsight.machine.private_files import make_private_folder
from smallsight.model.picture_argument import NamedImage
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.remote_settings import RemoteSettings
from smallsight.services.live_settings import LiveSettings
from smallsight.services.settings_file import change_settings
from smallsight.settings import Settings

_REMOTES = "remotes"
_MAX_NAME_CHARS = 100
_SHOWN_CHARS, _MIN_SHOWN_KEY_CHARS = 4, 12
_TRIAL_TIMEOUT_S = 30.0
_TRIAL_TOKENS = 16
_TRIAL_SIDE_PX = 64
_TRIAL_QUESTION = "What colour is this picture? Answer with one word."


@dataclass(frozen=True, slots=True)
class Provider:
    """A model on another server; ``shown_key`` is masked, "" if there is none."""

    name: str
    base_url: str
    model: str
    shown_key: str
    fallback: str
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ProviderForm:
    """What a person entered; an empty key keeps the present one. ``before`` is the name to change, or ""."""

    before: str
    name: str
    base_url: str
    model: str
    key: str
    fallback: str
    timeout_s: str


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a connection test: what was answered after ``seconds``, or the problem."""

    name: str
    seconds: float
    answer: str = ""
    problem: str = ""


class RemoteProviders:
    """Lists and changes the setting ``remotes``. Thread-safe."""

    def __init__(self, live: LiveSettings) -> None:
        self._live = live

    def list(self) -> tuple[Provider, ...]:
        """Return all, by name."""
        remotes = self._live.current().remotes
        return tuple(_provider(name, remotes[name]) for name in sorted(remotes, key=str.casefold))

    def save(self, form: ProviderForm) -> bool:
        """Store a new or changed one; return whether its key was dropped because the address changed.

        Raises ArgumentError, InvalidSettingsError and StorageError.
        """
        settings = self._live.current()
        name = form.name.strip()
        _require_name(name, form.before, settings)
        known = settings.remotes.get(form.before)
        table = {} if known is None else known.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        given: Mapping[str, Any] = {
            "base_url": form.base_url.strip(),
            "model": form.model.strip() or None,
            "fallback": form.fallback.strip() or None,
            "timeout_s": form.timeout_s.strip() or None,
        }
        table = {key: value for key, value in {**table, **given}.items() if value is not None}
        is_dropped = False
        if form.key.strip() or (known is not None and _server(known.base_url) != _server(form.base_url)):
            is_dropped = not form.key.strip() and known is not None and known.key_source is not None
            for key in ("api_key_env", "api_key_file"):
                table.pop(key, None)
        key_path = _key_path(settings, name)
        if form.key.strip():
            table["api_key_file"] = str(key_path)
        change_settings({(_REMOTES, name): table} | _removal(form.before, name))
        if form.key.strip():
            _write_key(key_path, form.key.strip())
        return is_dropped

    def remove(self, name: str) -> None:
        """Remove one with its key; raises ArgumentError."""
        known = self._require(name)
        change_settings({(_REMOTES, name): None})
        own = _key_path(self._live.current(), name)
        if known.api_key_file == own:
            with suppress(OSError):
                own.unlink(missing_ok=True)

    def try_out(self, name: str) -> Trial:
        """Send one question with a small picture and wait for the answer; raises ArgumentError."""
        remote = self._require(name).model_copy(update={"retries": 0, "timeout_s": _TRIAL_TIMEOUT_S})
        engine = RemoteEngine(name, remote)
        began_s = time.perf_counter()
        try:
            model = VisionLanguageModel(
                engine, name=name, precision="remote", limits=self._live.current().limits
            )
            picture = NamedImage(None, Image.new("RGB", (_TRIAL_SIDE_PX, _TRIAL_SIDE_PX), (200, 30, 30)))
            reply = model.start(picture, _TRIAL_QUESTION, max_tokens=_TRIAL_TOKENS)
            answer = reply.answer().text
        except SmallsightError as error:
            return Trial(name, time.perf_counter() - began_s, problem=str(error).replace(" hint: ", " "))
        finally:
            engine.close()
        return Trial(name, time.perf_counter() - began_s, answer=answer.strip())

    def _require(self, name: str) -> RemoteSettings:
        known = self._live.current().remotes.get(name)
        if known is None:
            raise ArgumentError(f"There is no other server called {name!r}.", hint="load the page again.")
        return known


def masked_key(key: str) -> str:
    """Return a key so that its owner recognises it: ``sk-…abcd``, or dots alone if it is short."""
    if not key:
        return ""
    if len(key) < _MIN_SHOWN_KEY_CHARS or not key.isprintable():
        return "…"
    prefix, dash, _ = key.partition("-")
    return f"{prefix + dash if dash and len(prefix) < _SHOWN_CHARS else ''}…{key[-_SHOWN_CHARS:]}"


def _provider(name: str, remote: RemoteSettings) -> Provider:
    shown = masked_key(remote.api_key() or "")
    if not shown and remote.api_key_env:
        shown = f"${remote.api_key_env}"
    return Provider(name, remote.base_url, remote.model or "", shown, remote.fallback or "", remote.timeout_s)


def _require_name(name: str, before: str, settings: Settings) -> None:
    if not 0 < len(name) <= _MAX_NAME_CHARS or not name.isprintable() or "/" in name:
        raise ArgumentError(
            f"Invalid name {name!r}.", hint=f"use up to {_MAX_NAME_CHARS} characters without slashes."
        )
    if name.casefold() == before.casefold():
        return
    taken = {other.casefold() for other in settings.remotes}
    if name.casefold() in taken or load_catalog().get(name) is not None:
        raise ArgumentError(f"There is a model called {name!r} already.", hint="choose another name.")


def _removal(before: str, name: str) -> dict[tuple[str, ...], Any]:
    return {(_REMOTES, before): None} if before and before != name else {}


def _server(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url.strip())
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "", None, None


def _key_path(settings: Settings, name: str) -> Path:
    return settings.home / "remote-keys" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.key"


def _write_key(path: Path, key: str) -> None:
    try:
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(key)
    except OSError as error:
        raise StorageError(
            f"The key could not be stored in {path}: {error.strerror or error}.",
            hint="give this user write permission.",
        ) from error
