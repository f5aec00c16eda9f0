"""Inspects a directory in Hugging Face layout: its family, its weights, and whether they are complete.

Reads headers only. Weights in pickle formats are refused: loading one can run code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from smallsight.catalog.checkpoint_text import read_checkpoint_text
from smallsight.catalog.safetensors_file import StoredTensor, read_header
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError, UnknownModelError

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}


@dataclass(frozen=True)
class Checkpoint:
    """A directory whose configuration and weight headers have been read and validated."""

    directory: Path
    family: str
    config: Mapping[str, Any]
    weight_files: tuple[Path, ...]
    tensors: tuple[StoredTensor, ...]

    @cached_property
    def num_parameters(self) -> int:
        """The number of values in all tensors."""
        return sum(tensor.num_values for tensor in self.tensors)

    @cached_property
    def weights_bytes(self) -> int:
        """The size of the weights on disk, without headers."""
        return sum(tensor.end - tensor.begin for tensor in self.tensors)


def open_checkpoint(directory: Path, model_types: Mapping[str, str]) -> Checkpoint:
    """Read a checkpoint's configuration and weight headers.

    ``model_types`` maps "model_type" of config.json to a family. Raises BrokenCheckpointError if the folder
    is not a checkpoint or is damaged, and ModelNotRunnableError for a model type that is not in the map.
    """
    config = _read_config(directory)
    family = _family(directory, config, model_types)
    weight_files = find_weight_files(directory)
    by_file = {path: read_header(path) for path in weight_files}
    _check_index(directory, by_file)
    tensors = tuple(tensor for held in by_file.values() for tensor in held)
    _check_names(directory, tensors)
    return Checkpoint(directory, family, config, weight_files, tensors)


def read_family(directory: Path, model_types: Mapping[str, str]) -> str:
    """Return the family of a checkpoint without reading its weights; raises as ``open_checkpoint`` does."""
    return _family(directory, _read_config(directory), model_types)


def mark_of_files(directory: Path) -> str:
    """Return a fingerprint of a folder's files, which a replaced file changes; empty if the folder is gone.

    A replacement may keep size and modification time (``cp -p``, ``rsync -t``), but not inode and time of
    change.
    """
    try:
        with os.scandir(directory) as found:
            files = sorted((entry.name, entry.stat()) for entry in found)
    except OSError:
        return ""
    marks = [
        f"{name} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
        for name, status in files
    ]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:16]


def find_weight_files(directory: Path) -> tuple[Path, ...]:
    """Return the safetensors files that hold the weights.

    An index names them; without an index it is ``model.safetensors``, or else the only safetensors file.
    Raises BrokenCheckpointError if one is missing.
    """
    if (directory / _INDEX).is_file():
        names = sorted(set(_weight_map(directory).values()))
        missing = [name for name in names if not (directory / name).is_file()]
        if missing:
            raise BrokenCheckpointError(
                f"{directory} lacks {len(missing)} of the {len(names)} weight files listed in its index, "
                f"starting with {missing[0]}.",
                hint="fetch the missing parts into the same folder.",
            )
        return tuple(directory / name for name in names)
    if (directory / _WEIGHTS).is_file():
        return (directory / _WEIGHTS,)
    candidates = sorted(directory.glob("*.safetensors"))
    if len(candidates) == 1:
        return (candidates[0],)
    if candidates:
        raise BrokenCheckpointError(
            f"{directory} has {len(candidates)} safetensors files and no {_INDEX}.",
            hint="fetch the index file into the same folder.",
        )
    raise _no_weights(directory)


def read_json_object(path: Path) -> Mapping[str, Any]:
    """Read one JSON object from a checkpoint; raises BrokenCheckpointError with the file's name."""
    try:
        data = json.loads(read_checkpoint_text(path))
    except FileNotFoundError as error:
        raise BrokenCheckpointError(
            f"{path.parent} has no {path.name}.", hint="give a folder in Hugging Face layout."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BrokenCheckpointError(f"{path} cannot be read as JSON.", hint="fetch it again.") from error
    if not isinstance(data, dict):
        raise BrokenCheckpointError(f"{path} does not hold an object.", hint="fetch it again.")
    return data


def _read_config(directory: Path) -> Mapping[str, Any]:
    if not directory.is_dir():
        raise UnknownModelError(
            f"There is no folder {directory}.", hint="give the folder that holds config.json."
        )
    return read_json_object(directory / "config.json")


def _family(directory: Path, config: Mapping[str, Any], model_types: Mapping[str, str]) -> str:
    model_type = config.get("model_type")
    if isinstance(model_type, str) and model_type in model_types:
        return model_types[model_type]
    raise ModelNotRunnableError(
        f"{directory} holds a model of type {model_type!r}, which Smallsight cannot run.",
        hint=f"the supported families are {', '.join(sorted(set(model_types.values())))}.",
    )


def _weight_map(directory: Path) -> dict[str, str]:
    weight_map = read_json_object(directory / _INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BrokenCheckpointError(f"{directory / _INDEX} has no weight_map.", hint="fetch it again.")
    for name in weight_map.values():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise BrokenCheckpointError(
                f"{directory / _INDEX} names {name!r}, which is not a safetensors file in the same folder.",
                hint="do not use this checkpoint: a valid one never names other files.",
            )
    return weight_map


def _check_index(directory: Path, by_file: Mapping[Path, Iterable[StoredTensor]]) -> None:
    if not (directory / _INDEX).is_file():
        return
    held = {(tensor.name, path.name) for path, tensors in by_file.items() for tensor in tensors}
    absent = sorted(set(_weight_map(directory).items()) - held)
    if absent:
        name, file_name = absent[0]
        raise BrokenCheckpointError(
            f"{file_name} in {directory} lacks the tensor {name!r} that the index lists.",
            hint="the parts are of different versions: fetch all of them again.",
        )


def _check_names(directory: Path, tensors: tuple[StoredTensor, ...]) -> None:
    if not tensors:
        raise BrokenCheckpointError(f"The weights in {directory} are empty.", hint="fetch them again.")
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.name in seen:
            raise BrokenCheckpointError(
                f"The tensor {tensor.name!r} is in two weight files of {directory}.",
                hint="remove the files that belong to another version.",
            )
        seen.add(tensor.name)


def _no_weights(directory: Path) -> BrokenCheckpointError:
    pickled = sorted(path.name for path in directory.iterdir() if path.suffix in _PICKLE_SUFFIXES)
    if pickled:
        return BrokenCheckpointError(
            f"{directory} has weights only in a pickle format ({pickled[0]}), which can run code on loading.",
            hint="get the model's safetensors files, or convert the weights on an isolated machine.",
        )
    return BrokenCheckpointError(
        f"{directory} has no weights: there is no safetensors file.", hint="fetch model.safetensors into it."
    )
