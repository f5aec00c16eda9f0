"""Downloads from a hub on this machine that is as slow or as broken as a test wants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clocks import wait_until
from local_hub import LocalHub
from smallsight.errors import UnknownModelError
from smallsight.inventory.listing import ModelService
from smallsight.services.model_downloads import Download, DownloadState, ModelDownloads
from smallsight.settings import Settings
from unit.conftest import small_model_files

NAME = "SmolVLM-256M-Instruct"
REPOSITORY = f"HuggingFaceTB/{NAME}"


class Changes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def downloads(tmp_path: Path, hub: LocalHub, changes: Changes) -> ModelDownloads:
    hub.serve(REPOSITORY, small_model_files(1_000_000))
    settings = Settings(home=tmp_path / "home")

    def service() -> ModelService:
        return ModelService(settings, cache_dir=tmp_path / "cache", endpoint=hub.url)

    return ModelDownloads(service, changes)


def ended(downloads: ModelDownloads) -> Callable[[], bool]:
    return lambda: (one := downloads.find(NAME)) is not None and not one.is_active


def last(downloads: ModelDownloads) -> Download:
    found = downloads.find(NAME)
    assert found is not None
    return found


def test_a_variant_downloads_the_files_of_its_base_once(
    downloads: ModelDownloads, hub: LocalHub, changes: Changes
):
    hub.misbehave(delay_s=0.05)
    assert downloads.start(f"{NAME}-int8").name == NAME
    downloads.start(NAME)
    wait_until(lambda: last(downloads).here_bytes > 0)
    assert 0 < last(downloads).here_bytes < last(downloads).total_bytes
    wait_until(ended(downloads))
    done = last(downloads)
    assert (done.state, done.here_bytes) == (DownloadState.DONE, done.total_bytes)
    assert done.total_bytes > 4_000_000
    assert len(hub.downloads("model.safetensors")) == 1
    assert changes.count > 3


def test_a_cancelled_download_continues_where_it_stopped(downloads: ModelDownloads, hub: LocalHub):
    hub.misbehave(delay_s=0.05)
    downloads.start(NAME)
    wait_until(lambda: last(downloads).here_bytes > 300_000)
    downloads.cancel(NAME)
    wait_until(ended(downloads))
    assert last(downloads).state is DownloadState.CANCELLED
    hub.misbehave()
    downloads.start(NAME)
    wait_until(ended(downloads))
    assert last(downloads).state is DownloadState.DONE
    assert hub.downloads("model.safetensors")[-1]["range"] is not None


def test_a_failure_is_a_sentence(downloads: ModelDownloads, hub: LocalHub):
    hub.misbehave(api_status=403)
    downloads.start(NAME)
    wait_until(ended(downloads))
    assert last(downloads).state is DownloadState.FAILED
    assert "denied this user access" in last(downloads).problem
    hub.misbehave()
    downloads.start(NAME)
    wait_until(ended(downloads))
    assert last(downloads).state is DownloadState.DONE


def test_without_a_network_it_says_so(tmp_path: Path, changes: Changes):
    settings = Settings(home=tmp_path / "home")
    downloads = ModelDownloads(
        lambda: ModelService(settings, cache_dir=tmp_path, endpoint="http://127.0.0.1:9"), changes
    )
    downloads.start(NAME)
    wait_until(ended(downloads))
    assert "network error" in last(downloads).problem
    assert "Check the connection" in last(downloads).problem


def test_an_unknown_model_is_refused(downloads: ModelDownloads):
    with pytest.raises(UnknownModelError):
        downloads.start("nothing")
    downloads.cancel("nothing")
