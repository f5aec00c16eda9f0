"""What is impossible in a folder is refused when it is registered, by name, and without loading anything."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from smallsight.catalog.safetensors_file import read_header
from smallsight.errors import BrokenCheckpointError, ModelError, SmallsightError
from smallsight.families.registry import FAMILIES
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES as SMOLVLM
from tiny_smolvlm import make_checkpoint

WRITERS = {
    "smolvlm": lambda folder: make_checkpoint(folder, SMOLVLM[0]),
    "florence2": lambda folder: write_tiny_florence2(folder, FLORENCE2[0]),
    "moondream2": lambda folder: write_tiny_moondream2(folder, MOONDREAM2[0]),
}
IMPOSSIBLE = (0, -1, 1, 7, 2**31 - 1, 2**31, 10**30, 0.5, float("inf"), "many", None, [], {}, True)
MOST_SECONDS = 5.0


@pytest.fixture(scope="module", params=WRITERS)
def whole(request, tmp_path_factory):
    """A family's name, and a whole folder of it, which tests do not change."""
    folder = tmp_path_factory.mktemp("whole") / request.param
    WRITERS[request.param](folder)
    return request.param, folder


@pytest.fixture
def copied(whole, tmp_path: Path):
    name, folder = whole
    return FAMILIES[name], Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_whole_folder_passes(copied, tmp_path):
    family, folder = copied
    family.check_folder(folder, tmp_path)


def test_the_first_tensor_of_another_shape_is_named(copied, tmp_path):
    family, folder = copied
    (weights,) = folder.glob("*.safetensors")
    tensors = load_file(weights)
    names = sorted(tensors)
    for name in (names[0], names[len(names) // 2], names[-1]):
        for shape in ((0, 2**40), (7,), (*tensors[name].shape, 1), ()):
            save_file({**tensors, name: np.ones(shape, np.float32)}, weights)
            assert len(read_header(weights)) == len(tensors)
            with pytest.raises(BrokenCheckpointError) as refused:
                family.check_folder(folder, tmp_path)
            assert name in refused.value.message
            assert "\n" not in str(refused.value)


def error_of(family, folder):
    try:
        family.check_weights(folder)
    except SmallsightError as error:
        return error
    return None


def numbers_in(described: object, path: tuple[object, ...] = ()):
    """Yield the path of every number in nested objects and lists."""
    if isinstance(described, dict | list):
        items = described.items() if isinstance(described, dict) else enumerate(described)
        for name, value in items:
            yield from numbers_in(value, (*path, name))
    elif isinstance(described, int | float) and not isinstance(described, bool):
        yield path


def replaced(described, path, value):
    changed = json.loads(json.dumps(described))
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return changed


def test_every_impossible_number_in_the_configuration_is_one_sentence_soon(copied):
    family, folder = copied
    path = folder / "config.json"
    described = json.loads(path.read_text())
    refused = set()
    for place in numbers_in(described):
        for value in IMPOSSIBLE:
            path.write_text(json.dumps(replaced(described, place, value)))
            began_s = time.process_time()
            error = error_of(family, folder)
            if error is not None:
                assert isinstance(error, ModelError)
                assert "\n" not in str(error)
                refused.add(place)
            assert time.process_time() - began_s < MOST_SECONDS, (place, value)
    assert len(refused) > 8
