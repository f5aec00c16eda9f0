"""Safe names for uploaded files, and storing a file under a free one without replacing any."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
import unicodedata
from pathlib import Path, PurePath

from smallsight.policy.valid_text import is_valid_text

_MAX_NAME_BYTES = 200  # file systems allow 255; there is room for " (2)"
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")  # on Windows
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heif", ".heics", ".heifs", ".hif"),
}
UPLOADED_VIDEOS = {  # Ogg is sound, mostly
    "MP4": (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2"),
    "MATROSKA": (".mkv", ".webm"),
    "AVI": (".avi",),
    "MPEG-TS": (".mts", ".m2ts"),
    "MPEG": (".mpg", ".mpeg", ".vob"),
    "FLV": (".flv",),
}
_MAX_TRIES = 10_000
_LEFTOVER_S = 24 * 3600.0


def safe_name(given: str, picture_format: str) -> str:
    """Return a file name made from the one that a client sent, which ends as its format does."""
    name = unicodedata.normalize("NFC", given) if is_valid_text(given) else ""
    name = re.split(r"[/\\]", name)[-1]
    name = _NOT_IN_NAMES.sub("", name).strip(" .")
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    wanted = {**_SUFFIXES, **UPLOADED_VIDEOS}[picture_format]
    if suffix.lower() not in wanted:
        stem, suffix = name, wanted[0]
    stem = stem.strip(" .") or "picture"
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    room = _MAX_NAME_BYTES - len(suffix.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + suffix


def store_file(source: Path, folder: Path, name: str) -> Path:
    """Move a file into a folder under this name, or under one with a number, and return its path.

    It appears there complete or not at all. Raises OSError; then nothing is left in the folder.
    """
    _remove_leftovers(folder)
    temporary = folder / f".smallsight-{secrets.token_hex(8)}.part"  # hidden: no scan reads it
    try:
        with contextlib.suppress(OSError):  # on one disk the bytes stay where they are
            os.link(source, temporary)
        if not temporary.exists():
            with source.open("rb") as read, temporary.open("xb") as written:
                shutil.copyfileobj(read, written, 1024 * 1024)
                written.flush()
                os.fsync(written.fileno())
        path = _take_free_name(temporary, folder, name)
    finally:
        temporary.unlink(missing_ok=True)
    source.unlink(missing_ok=True)
    return path


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed server may have left long ago."""
    for one in folder.glob(".smallsight-*.part"):
        with contextlib.suppress(OSError):
            if one.stat().st_ctime < time.time() - _LEFTOVER_S:
                one.unlink()


def _take_free_name(temporary: Path, folder: Path, name: str) -> Path:
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    for number in range(1, _MAX_TRIES):
        path = folder / (name if number == 1 else f"{stem} ({number}){suffix}")
        try:
            os.link(temporary, path)
        except FileExistsError:
            continue
        except OSError:  # a file system without links: the name is reserved, then taken
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            except FileExistsError:
                continue
            temporary.replace(path)
        return path
    raise FileExistsError(f"{folder / name} and its numbers are taken")
