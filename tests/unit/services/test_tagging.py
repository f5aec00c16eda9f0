"""Which model tags, that it is loaded once, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.errors import SettingsError
from smallsight.services.indexing import IndexingApplication
from smallsight.services.tagging import tagging_model
from smallsight.settings import DescribeSettings, IndexSettings, Settings, TagsSettings
from tiny_florence2 import SHAPES, write_tiny_florence2


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_florence2(tmp_path_factory.mktemp("florence2") / "tiny", SHAPES[0]))


def settings_with(home: Path, *, tags: bool = True, describe: str | None = None, tag: str | None = None):
    return Settings(
        home=home,
        index=IndexSettings(ocr=False, tags=tags),
        describe=DescribeSettings(model=describe, precision="fp32"),
        tags=TagsSettings(model=tag, precision="int8"),
    )


@pytest.mark.parametrize(
    ("describe", "tag", "expected"),
    [
        ("a", None, ("a", "fp32")),
        ("a", "a", ("a", "fp32")),
        ("a", "b", ("b", "int8")),
        (None, "b", ("b", "int8")),
    ],
)
def test_which_model_tags(tmp_path: Path, describe, tag, expected):
    assert tagging_model(settings_with(tmp_path, describe=describe, tag=tag)) == expected


def test_one_model_describes_and_tags(tmp_path: Path, checkpoint: str):
    with IndexingApplication(settings_with(tmp_path, describe=checkpoint)) as application:
        assert application.describer is not None
        assert application.tagger is not None
        assert application.lender.num_loads == 1


def test_tags_need_no_descriptions(tmp_path: Path, checkpoint: str):
    settings = settings_with(tmp_path, describe=checkpoint)
    with IndexingApplication(settings, describes=False) as application:
        assert application.describer is None
        assert application.tagger is not None


def test_without_the_setting_nothing_tags(tmp_path: Path):
    with IndexingApplication(settings_with(tmp_path, tags=False, tag="no such model")) as application:
        assert application.tagger is None


@pytest.mark.parametrize(
    ("describe", "words"), [("test", "test cannot tag"), (None, "No model is set to tag")]
)
def test_what_cannot_tag_is_refused_by_name(tmp_path: Path, describe, words):
    with (
        IndexingApplication(settings_with(tmp_path, describe=describe)) as application,
        pytest.raises(SettingsError, match=words) as raised,
    ):
        _ = application.tagger
    assert "Florence-2" in f"{raised.value.message} {raised.value.hint}"
