"""CONTRIBUTING's recipe for a model family, followed to the letter: a folder, one line, catalogue rows."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import smallsight
from tiny_smolvlm import SHAPES, make_checkpoint

TOY = Path(__file__).parents[1] / "toy_family"
LAST_LINE = '    "moondream2",\n'
ASKING = """
import sys
import smallsight
with smallsight.load(sys.argv[1], precision="int8") as model:
    print(model.describe(sys.argv[2], max_tokens=6, ignore_stop=True).usage.completion_tokens)
    try:
        model.detect(sys.argv[2], "cat")
    except smallsight.errors.SmallsightError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the package with the family added, as a contributor would add it."""
    package = tmp_path_factory.mktemp("source") / "smallsight"
    shutil.copytree(Path(smallsight.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOY / "pebble", package / "families" / "pebble")
    registry = package / "families" / "registry.py"
    text = registry.read_text()
    assert text.count(LAST_LINE) == 1
    registry.write_text(text.replace(LAST_LINE, LAST_LINE + '    "pebble",\n'))
    entries = package / "catalog" / "entries.toml"
    entries.write_text(entries.read_text() + (TOY / "entries.toml").read_text())
    return package.parent


def run(source: Path, home: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(source), "SMALLSIGHT_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_files_outside_its_folder_are_touched(source):
    original = Path(smallsight.__file__).parent
    files = [one.relative_to(source / "smallsight") for one in (source / "smallsight").rglob("*.*")]
    touched = {
        str(one)
        for one in files
        if one.parts[:2] != ("families", "pebble")
        and (source / "smallsight" / one).is_file()
        and not ((original / one).is_file() and filecmp.cmp(original / one, source / "smallsight" / one))
    }
    assert {one for one in touched if "__pycache__" not in one} == {
        "catalog/entries.toml",
        "families/registry.py",
    }


@pytest.mark.slow
def test_a_model_of_the_family_answers_and_says_what_it_cannot_do(source, tmp_path):
    folder = make_checkpoint(tmp_path / "model", SHAPES[0])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "pebble"}))
    Image.new("RGB", (50, 40), "red").save(tmp_path / "picture.png")
    said = run(source, tmp_path / "home", "-c", ASKING, str(folder), str(tmp_path / "picture.png"))
    number, refusal = said.splitlines()[:2]
    assert number == "6"
    assert "does not support detection" in refusal


@pytest.mark.slow
def test_the_catalogue_offers_it_with_what_it_needs(source, tmp_path):
    shown = json.loads(run(source, tmp_path, "-m", "smallsight", "models", "show", "Pebble-1", "--json"))
    assert shown["family"] == "pebble"
    assert shown["parameters"] > 0
