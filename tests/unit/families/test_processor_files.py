"""Old and new processor files in one folder: the settings that transformers 5.24 uses."""

from __future__ import annotations

import json

import pytest

from smallsight.errors import BrokenCheckpointError
from smallsight.families.processor_files import picture_settings


def write(path, **settings: object) -> None:
    path.write_text(json.dumps(settings))


def test_the_section_of_the_newer_file_goes_before_the_older_file(tmp_path):
    write(tmp_path / "preprocessor_config.json", size={"longest_edge": 2048})
    assert picture_settings(tmp_path)[1]["size"] == {"longest_edge": 2048}
    write(tmp_path / "processor_config.json", image_processor={"size": {"longest_edge": 1024}})
    path, found = picture_settings(tmp_path)
    assert (path.name, found["size"]) == ("processor_config.json", {"longest_edge": 1024})


def test_a_newer_file_without_the_section_leaves_the_older_one(tmp_path):
    write(tmp_path / "preprocessor_config.json", size={"longest_edge": 2048})
    write(tmp_path / "processor_config.json", processor_class="SmolVLMProcessor")
    assert picture_settings(tmp_path)[0].name == "preprocessor_config.json"


def test_without_either_it_is_one_sentence(tmp_path):
    with pytest.raises(BrokenCheckpointError, match="has no picture settings"):
        picture_settings(tmp_path)
