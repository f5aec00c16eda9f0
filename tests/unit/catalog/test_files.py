"""Files are found in the place that the user would expect, and never half a model."""

from __future__ import annotations

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.files import ModelFiles, Source
from smallsight.catalog.hub_cache import CachedRepository
from smallsight.catalog.manifest import PinnedRevision, Pins, RemoteFile
from smallsight.catalog.registered import RegisteredModel, RegisteredModels

CATALOG = load_catalog()
BASE = CATALOG.find("SmolVLM-256M-Instruct")
VARIANT = CATALOG.find("SmolVLM-256M-Instruct-int8")
SEEN, PINNED = "a" * 40, "b" * 40


@pytest.fixture
def files(tmp_path):
    return ModelFiles(
        CATALOG, RegisteredModels(tmp_path / "models.json"), Pins(tmp_path / "pins.json"), tmp_path / "cache"
    )


def put_snapshot(files, repository, commit, model_dir, ref=None):
    cached = CachedRepository(files.cache_dir, repository)
    directory = cached.snapshot_dir(commit)
    directory.mkdir(parents=True)
    for path in model_dir.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    if ref is not None:
        (cached.folder / "refs").mkdir(exist_ok=True)
        (cached.folder / "refs" / ref).write_text(commit)
    return directory


def test_in_an_empty_home_there_is_the_model_of_the_package_alone(files):
    found = {entry.name: files.locate(entry) for entry in CATALOG.entries}
    shipped = found.pop("Smallsight-tiny")
    assert shipped.source is Source.PACKAGE
    assert 10_000_000 < shipped.size_bytes < 20_000_000
    assert not any(found.values())


def test_a_variant_uses_its_bases_directory(files, model_dir):
    files.registered.add(RegisteredModel(BASE.name, model_dir, "smolvlm"))
    for entry in (BASE, VARIANT):
        found = files.locate(entry)
        assert (found.directory, found.source) == (model_dir, Source.DIRECTORY)
    assert files.locate(CATALOG.find("SmolVLM-500M-Instruct")) is None


def test_a_registered_directory_that_is_gone_or_of_another_family_is_passed_over(files, model_dir, tmp_path):
    files.registered.add(RegisteredModel(BASE.name, tmp_path / "gone", "smolvlm"))
    assert files.locate(BASE) is None
    files.registered.add(RegisteredModel(BASE.name, model_dir, "florence2"))
    assert files.locate(BASE) is None


def test_what_another_program_fetched_is_used(files, model_dir):
    directory = put_snapshot(files, BASE.repository, SEEN, model_dir, ref="main")
    found = files.locate(VARIANT)
    assert (found.directory, found.source, found.commit) == (directory, Source.HUB_CACHE, SEEN)
    assert found.size_bytes == sum(path.stat().st_size for path in model_dir.iterdir())


def test_the_original_repository_of_florence_is_known_too(files, model_dir):
    put_snapshot(files, "microsoft/Florence-2-base", SEEN, model_dir, ref="main")
    assert files.locate(CATALOG.find("Florence-2-base-int4")).repository == "microsoft/Florence-2-base"


def test_the_pinned_commit_comes_before_the_one_seen_last(files, model_dir):
    put_snapshot(files, BASE.repository, SEEN, model_dir, ref="main")
    pinned = put_snapshot(files, BASE.repository, PINNED, model_dir)
    size_bytes = (pinned / "config.json").stat().st_size
    remote = RemoteFile("config.json", size_bytes, "git-sha1", "c" * 40)
    files.pins.record(BASE.repository, "main", PinnedRevision(PINNED, (remote,)))
    assert files.locate(BASE).commit == PINNED
    (pinned / "config.json").write_text("{}")
    assert files.locate(BASE) is None


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_half_a_model_is_none(files, model_dir, missing):
    (model_dir / missing).unlink()
    put_snapshot(files, BASE.repository, SEEN, model_dir, ref="main")
    assert files.locate(BASE) is None


def test_what_an_interrupted_pull_left_is_found(files):
    assert files.unfinished(BASE) is None
    assert files.unfinished(CATALOG.find("test")) is None
    files.pins.record(BASE.repository, "main", PinnedRevision(PINNED, ()))
    assert files.unfinished(BASE) is None
    cached = CachedRepository(files.cache_dir, BASE.repository)
    (cached.folder / "blobs").mkdir(parents=True)
    (cached.folder / "blobs" / "x.smallsight-part").write_bytes(b"12345")
    assert files.unfinished(BASE).size_bytes == 5
