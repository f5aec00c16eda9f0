"""Which Arrow files a folder of Hugging Face's ``save_to_disk`` consists of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsight.errors import ArgumentError

__all__ = ["is_dataset_folder", "list_dataset_files"]

_SPLITS, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"
_MAX_STATE_BYTES = 16 * 1024 * 1024


def is_dataset_folder(folder: Path) -> bool:
    """Return whether the folder is a data set, or holds the splits of one."""
    return (folder / _SPLITS).is_file() or all((folder / name).is_file() for name in (_STATE, _INFO))


def list_dataset_files(folder: Path) -> list[Path]:
    """Return the files in the data set's order, of all splits; raises ArgumentError if it is damaged."""
    if (folder / _SPLITS).is_file():
        splits = _read(folder / _SPLITS).get("splits")
        names = list(_plain_names(splits, folder / _SPLITS))
        return [file for name in names for file in _files_of_split(folder / name)]
    return _files_of_split(folder)


def _files_of_split(folder: Path) -> list[Path]:
    listed = _read(folder / _STATE).get("_data_files")
    entries = [one.get("filename") if isinstance(one, dict) else None for one in listed or ()]
    return [folder / name for name in _plain_names(entries, folder / _STATE)]


def _plain_names(names: object, file: Path) -> Iterator[str]:
    """Yield names that lead nowhere but into the folder."""
    if not isinstance(names, list) or not names:
        raise _damaged(file)
    for name in names:
        if not isinstance(name, str) or name in {"", ".", ".."} or Path(name).name != name or "\0" in name:
            raise _damaged(file)
        yield name


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            data = json.loads(opened.read(_MAX_STATE_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(file) from error
    if not isinstance(data, dict):
        raise _damaged(file)
    return data


def _damaged(file: Path) -> ArgumentError:
    return ArgumentError(
        f"This data set is incomplete or damaged: {file}", hint="save it again with `save_to_disk`."
    )
