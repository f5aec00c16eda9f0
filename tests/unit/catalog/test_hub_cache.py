"""The layout of the shared cache is the one that the hub's own library uses."""

from __future__ import annotations

import pytest
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from smallsight.catalog.hub_cache import CachedRepository, default_cache_dir, repository_of_snapshot

COMMIT = "a" * 40


def test_the_folder_is_where_the_library_looks(tmp_path):
    cached = CachedRepository(tmp_path, "org/some-model")
    assert cached.folder.name == repo_folder_name(repo_id="org/some-model", repo_type="model")
    assert str(default_cache_dir()) == constants.HF_HUB_CACHE


def test_a_revision_is_looked_up_in_the_refs(tmp_path):
    cached = CachedRepository(tmp_path, "org/model")
    assert cached.commit_at("main") is None
    assert cached.commit_at(COMMIT) == COMMIT
    (cached.folder / "refs").mkdir(parents=True)
    (cached.folder / "refs" / "main").write_text(COMMIT)
    assert cached.commit_at("main") == COMMIT
    (cached.folder / "refs" / "main").write_text("../../elsewhere")
    assert cached.commit_at("main") is None


@pytest.mark.parametrize("repository", ["org/model", "org/model--with--dashes"])
def test_a_snapshot_knows_its_repository(tmp_path, repository):
    snapshot = CachedRepository(tmp_path, "org/model").snapshot_dir(COMMIT)
    assert repository_of_snapshot(snapshot) == "org/model"
    assert repository_of_snapshot(tmp_path / repository / COMMIT) is None
