"""The list of models tells the truth about this machine before and after pulling, adding and removing."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Precision
from smallsight.catalog.files import Source
from smallsight.catalog.hub_cache import CachedRepository
from smallsight.catalog.safetensors_file import read_header
from smallsight.errors import (
    ArgumentError,
    BrokenCheckpointError,
    DownloadError,
    ModelNotRunnableError,
    ModelUnavailableError,
    UnknownModelError,
)
from smallsight.inventory.listing import Fit, ModelService
from smallsight.settings import Settings

BASE, VARIANT = "SmolVLM-256M-Instruct", "SmolVLM-256M-Instruct-int8"
REPOSITORY = load_catalog().find(BASE).repository
GIB = 1024**3


@pytest.fixture
def make(tmp_path):
    def make_service(endpoint="http://127.0.0.1:1", memory_bytes=8 * GIB):
        return ModelService(
            Settings(home=tmp_path / "home"),
            cache_dir=tmp_path / "cache",
            endpoint=endpoint,
            memory_bytes=memory_bytes,
        )

    return make_service


@pytest.fixture
def model_dir(tiny_checkpoint, tmp_path):
    """A folder that passes every check; it is registered here."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "my-model"))


def files_of(service, name):
    return next(status for status in service.list() if status.name == name).files


def test_a_new_machine_has_every_model_in_the_list_and_one_on_disk(make, tmp_path):
    statuses = make().list()
    assert [status.name for status in statuses] == [entry.name for entry in load_catalog().entries]
    assert [status.name for status in statuses if status.files] == ["Smallsight-tiny"]
    assert not list(tmp_path.iterdir()), "looking must not create anything"


def test_memory_is_told_for_every_offered_precision(make):
    status = make().show("florence-2-base")
    assert list(status.memory_bytes) == [Precision.BF16, Precision.FP16, Precision.FP32]
    assert status.memory_bytes[Precision.FP32] == 4 * status.parameters
    assert status.download_bytes == 2 * status.parameters
    assert make().show("test").memory_bytes == {}


@pytest.mark.parametrize(
    ("memory_bytes", "fit"), [(1 * GIB, Fit.TOO_LARGE), (3 * GIB, Fit.TIGHT), (8 * GIB, Fit.FITS)]
)
def test_what_fits_depends_on_the_machine(make, memory_bytes, fit):
    assert make(memory_bytes=memory_bytes).show("moondream2-int8").fit is fit


def test_pulling_one_brings_all_its_variants(make, hub, model_files):
    hub.serve(REPOSITORY, model_files)
    service = make(hub.url)
    heard = []
    pulled = service.pull(VARIANT.lower(), on_progress=lambda *progress: heard.append(progress[:2]))
    assert heard[-1] == (pulled.size_bytes, pulled.size_bytes)
    assert files_of(service, BASE) == files_of(service, VARIANT)
    assert files_of(service, BASE).directory == pulled.directory
    assert files_of(service, BASE).commit == pulled.commit
    assert service.show(BASE).problem is None
    assert service.pull(BASE).received_bytes == 0
    assert service.pull(BASE, offline=True).received_bytes == 0


def test_a_file_damaged_on_disk_is_shown_as_a_problem(make, hub, model_files):
    hub.serve(REPOSITORY, model_files)
    service = make(hub.url)
    weights = (service.pull(BASE).directory / "model.safetensors").resolve()
    content = weights.read_bytes()
    weights.write_bytes(b"\0" * 8 + content[8:])
    assert "not a usable safetensors file" in service.show(BASE).problem


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("no-such-model", UnknownModelError),
        ("test", ModelUnavailableError),
        ("Smallsight-tiny", ModelUnavailableError),
    ],
)
def test_what_cannot_be_pulled_says_why(make, name, kind):
    with pytest.raises(kind) as failed:
        make().pull(name)
    assert failed.value.hint


def test_without_a_network_or_offline_there_is_a_sentence(make):
    with pytest.raises(DownloadError, match="network error"):
        make().pull(BASE)
    with pytest.raises(ModelUnavailableError, match="downloads are off"):
        make().pull(BASE, offline=True)


def test_the_name_of_the_model_in_the_package_is_not_given_away(make, model_dir):
    with pytest.raises(ArgumentError, match="Smallsight-tiny is part of the package"):
        make().add(model_dir, "smallsight-TINY")


def test_a_folder_becomes_a_model_of_its_own(make, model_dir):
    service = make()
    model = service.add(model_dir)
    assert (model.name, model.family) == ("my-model", "smolvlm")
    status = service.list()[-1]
    assert (status.name, status.entry) == ("my-model", None)
    assert status.parameters == sum(one.num_values for one in read_header(model_dir / "model.safetensors"))
    assert service.show("MY-MODEL").files.directory == model_dir
    with pytest.raises(ModelUnavailableError, match="nothing to pull"):
        service.pull("my-model")


def test_a_folder_under_a_catalogue_name_supplies_that_model(make, model_dir):
    service = make()
    assert service.add(model_dir, BASE.upper()).name == BASE
    assert len(service.list()) == len(load_catalog().entries)
    assert files_of(service, VARIANT).source is Source.DIRECTORY
    assert service.pull(VARIANT).received_bytes == 0


def test_a_snapshot_of_a_cache_is_named_after_its_repository(make, model_dir, tmp_path):
    snapshot = CachedRepository(tmp_path / "copied", "org/Fine-Tuned").snapshot_dir("a" * 40)
    snapshot.parent.mkdir(parents=True)
    model_dir.rename(snapshot)
    assert make().add(snapshot).name == "Fine-Tuned"


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\nb", "x" * 101])
def test_odd_names_are_refused(make, model_dir, name):
    with pytest.raises(ArgumentError, match="Invalid model name"):
        make().add(model_dir, name)


def test_a_folder_of_another_family_cannot_take_a_name(make, model_dir):
    with pytest.raises(ArgumentError, match="is a moondream2 model"):
        make().add(model_dir, "moondream2")


def test_a_folder_that_is_no_model_is_not_added(make, model_dir, tmp_path):
    service = make()
    with pytest.raises(BrokenCheckpointError):
        service.add(tmp_path)
    (model_dir / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelNotRunnableError):
        service.add(model_dir)
    assert len(service.list()) == len(load_catalog().entries)


def test_a_registered_folder_that_vanished_is_shown_as_broken(make, model_dir):
    service = make()
    service.add(model_dir)
    (model_dir / "config.json").unlink()
    assert "config.json" in service.list()[-1].problem


@pytest.mark.parametrize(("name", "asked"), [(None, "my-model"), (BASE, BASE), (BASE, VARIANT)])
def test_removing_a_registered_folder_only_forgets_it(make, model_dir, name, asked):
    service = make()
    service.add(model_dir, name)
    before = sorted(path.name for path in model_dir.iterdir())
    removal = service.plan_removal(asked)
    assert (removal.source, removal.directory, removal.frees_bytes) == (Source.DIRECTORY, model_dir, 0)
    assert service.remove(removal) == 0
    assert sorted(path.name for path in model_dir.iterdir()) == before
    assert len(service.list()) == len(load_catalog().entries)
    assert files_of(service, BASE) is None


def test_removing_a_pulled_model_frees_the_disk_and_names_who_shares_it(make, hub, model_files, tmp_path):
    hub.serve(REPOSITORY, model_files)
    service = make(hub.url)
    pulled = service.pull(BASE)
    removal = service.plan_removal(BASE)
    assert (removal.source, removal.frees_bytes) == (Source.HUB_CACHE, pulled.size_bytes)
    assert removal.also_used_by == (VARIANT,)
    assert pulled.directory.exists(), "planning must not delete"
    assert service.remove(removal) == pulled.size_bytes
    assert files_of(service, VARIANT) is None
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and ".locks" not in path.parts]
    assert [path for path in left if path.stat().st_size > 1000] == []


def test_removing_after_an_interrupted_pull_frees_what_it_left(make, hub, model_files, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.serve(REPOSITORY, model_files)
    hub.misbehave(cuts={"model.safetensors": [100_000] + [0] * 9})
    service = make(hub.url)
    with pytest.raises(DownloadError):
        service.pull(BASE)
    assert files_of(service, BASE) is None
    removal = service.plan_removal(BASE)
    assert removal.frees_bytes > 100_000
    assert service.remove(removal) > 100_000
    assert not list((tmp_path / "cache").rglob("*.smallsight-part"))


@pytest.mark.parametrize(("name", "kind"), [(BASE, UnknownModelError), ("nope", UnknownModelError)])
def test_removing_what_is_not_here_is_a_sentence(make, name, kind):
    with pytest.raises(kind):
        make().plan_removal(name)


def test_the_answer_about_an_unknown_name_knows_the_users_own(make, model_dir):
    service = make()
    service.add(model_dir, "holiday-model")
    with pytest.raises(UnknownModelError) as failed:
        service.show("holyday-model")
    assert "holiday-model" in failed.value.hint


def test_state_is_kept_in_the_data_folder(make, model_dir, tmp_path):
    make().add(model_dir)
    assert make().show("my-model").files.directory == model_dir
    names = {path.name for path in Path(tmp_path / "home").iterdir()}
    assert names - {"prepared"} == {"models.json", ".models.json.lock"}


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10**10 }}",
        "{% if %}",
        "{{ 1 + [] }}",
    ],
)
def test_a_folder_with_a_damaged_chat_template_is_not_added(make, model_dir, template):
    (model_dir / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    with pytest.raises(BrokenCheckpointError, match="has a damaged chat template") as refused:
        make().add(model_dir)
    assert "\n" not in str(refused.value)
    assert make()._files.registered.all() == ()  # noqa: SLF001 - the list shows only what it can open


def test_a_folder_with_a_tensor_of_an_impossible_shape_is_not_added(make, model_dir):
    weights = model_dir / "model.safetensors"
    tensors = load_file(weights)
    save_file({**tensors, "model.text_model.norm.weight": np.ones((3, 5), np.float32)}, weights)
    with pytest.raises(BrokenCheckpointError, match=r"model\.text_model\.norm\.weight .* shape \[3, 5\]"):
        make().add(model_dir)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders")
@pytest.mark.parametrize(
    "name", ["config.json", "chat_template.jinja", "model.safetensors", "tokenizer_config.json"]
)
def test_a_pipe_in_a_folder_blocks_nothing(make, model_dir, name):
    (model_dir / name).unlink(missing_ok=True)
    os.mkfifo(model_dir / name)
    with pytest.raises(BrokenCheckpointError, match=r"is not a regular file|has no weights"):
        make().add(model_dir)


def test_a_variant_is_listed_with_its_computed_memory_and_removed_without_its_base(make, model_dir):
    service = make()
    service.add(model_dir, "mine")
    saved = service.add_variant("mine-small", "MINE", "int4;text=int4-groups-32")
    assert (saved.base, saved.scheme) == ("mine", "int4; text=int4-groups-32")
    status = service.show("mine-small")
    assert status == next(one for one in service.list() if one.name == "mine-small")
    assert (status.family, status.variant, status.problem) == ("smolvlm", saved, None)
    [(precision, num_bytes)] = status.memory_bytes.items()
    assert precision is Precision.INT4
    assert num_bytes == pytest.approx(status.parameters * 4.5 / 8, rel=0.05)  # a scale per 32 values

    removal = service.plan_removal("mine-small")
    assert removal.directory is None
    assert service.remove(removal) == 0
    assert files_of(service, "mine") is not None
    with pytest.raises(UnknownModelError):
        service.show("mine-small")


@pytest.mark.parametrize(
    ("name", "base", "scheme", "words"),
    [
        ("mine", "mine", "int4", "already a model mine"),
        ("test", "mine", "int4", "already a model test"),
        ("a/b", "mine", "int4", "Invalid model name"),
        ("small", "mine", "int3", "Unknown precision 'int3'"),
        ("small", "test", "int4", "test has no weights for a scheme"),
        ("small", "first", "int4", "first already has the scheme 'int8'"),
    ],
)
def test_a_variant_that_cannot_be_saved_is_a_sentence(make, model_dir, name, base, scheme, words):
    service = make()
    service.add(model_dir, "mine")
    service.add_variant("first", "mine", "int8")
    with pytest.raises(ArgumentError, match=words):
        service.add_variant(name, base, scheme)
    with pytest.raises(UnknownModelError):
        service.add_variant("small", "nothing-here", "int4")


def test_a_variant_of_a_catalogue_variant_belongs_to_its_base(make, model_dir):
    service = make()
    service.add(model_dir, BASE)
    assert service.add_variant("Small", VARIANT.lower(), "int8; head=nf4").base == BASE
    stored = service.show("small").memory_bytes[Precision.INT8]
    assert 0.5 < stored / service.show(VARIANT).memory_bytes[Precision.INT8] < 1
    with pytest.raises(ArgumentError, match="can only be loaded in int8, not in int4"):
        service.add_variant("Smaller", VARIANT, "int4")


def test_there_is_nothing_to_pull_for_a_variant(make, model_dir):
    make().add(model_dir, "mine")
    make().add_variant("small", "mine", "int4")
    with pytest.raises(ModelUnavailableError, match="small is a variant of mine"):
        make().pull("small")
