"""``smallsight models`` as a person and as a program sees it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from forked_commands import run_command as run_forked
from smallsight.catalog.catalog import load_catalog, load_embedding_catalog
from smallsight.cli.main import invoke
from tiny_dual_encoder import write_tiny_siglip

BASE = "SmolVLM-256M-Instruct"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Give the command an empty data folder, an empty cache and a terminal of 80 columns."""
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("SMALLSIGHT_CONFIG", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model_dir(tiny_checkpoint, tmp_path):
    """A folder that passes every check; it is registered here."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "my-model"))


@pytest.fixture
def run(capsys):
    def run_command(*arguments):
        code = invoke(["models", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_command


def run_process(hub, tmp_path, *arguments):
    """Run the real command with the test's hub in another process: HF_ENDPOINT is read when it starts."""
    environment = {k: v for k, v in os.environ.items() if k not in {"HF_TOKEN", "HF_HUB_OFFLINE"}}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache")}
    return subprocess.CompletedProcess(arguments, *run_forked(["models", *arguments], environment))


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_the_list_fits_eighty_columns_and_hides_nothing(run, arguments):
    code, out, err = run(*arguments)
    assert code == 0
    for entry in load_catalog().entries:
        assert entry.name in out
    assert all(len(line.rstrip()) <= 80 for line in out.splitlines())
    assert "…" not in out
    assert "\x1b" not in out
    assert "smallsight models pull NAME" in err


def test_a_row_says_what_it_takes_and_when_it_runs(run):
    row = next(line for line in run()[1].splitlines() if line.startswith("SmolVLM-256M-Instruct-int8"))
    assert row.split() == [
        "SmolVLM-256M-Instruct-int8",
        "256",
        "M",
        "254",
        "MiB",
        "int8",
        "get",
        "513",
        "MB",
        "now",
    ]


def test_quiet_prints_the_list_and_no_footnotes(run):
    _, out, err = run("--quiet")
    assert BASE in out
    assert err == ""


@pytest.mark.parametrize("arguments", [("--json",), ("list", "--json")])
def test_the_list_as_json(run, arguments):
    code, out, err = run(*arguments)
    data = json.loads(out)
    assert (code, err) == (0, "")
    assert data["machine_memory_bytes"] > 0
    models = {model["name"]: model for model in data["models"]}
    assert models[BASE]["parameters"] == 256_484_928
    assert models[BASE]["memory_bytes"]["bf16"] == 2 * 256_484_928
    assert models[BASE]["licence"]["spdx"] == "Apache-2.0"
    assert models[BASE]["verdict"] == "not measured yet"
    assert models[BASE]["files"] is None
    assert models["moondream2"]["available_in"] == "0.2.0"


def test_show_says_everything(run):
    code, out, _ = run("show", BASE.lower())
    assert code == 0
    for said in (
        "256,484,928",
        "489 MiB in bf16",
        "Apache-2.0",
        "https://",
        "CPU-friendly",
        "not measured yet",
    ):
        assert said in out
    assert "short caption" in run("show", "moondream2")[1]
    assert "this package" in " ".join(run("show", "Smallsight-tiny")[1].split())


def test_show_of_an_unknown_name_is_a_sentence_and_exit_code_3(run):
    code, out, err = run("show", "SmolVLM-256")
    assert (code, out) == (3, "")
    assert "no model called 'SmolVLM-256'" in err
    assert BASE in err
    code, out, _ = run("show", "SmolVLM-256", "--json")
    assert code == 3
    assert json.loads(out)["error"]["code"] == "unknown_model"


def test_a_folder_is_added_shown_and_forgotten(run, model_dir):
    code, out, _ = run("add", str(model_dir), "--name", "mine")
    assert code == 0
    assert "mine: a smolvlm model" in out
    assert "folder" in next(line for line in run()[1].splitlines() if line.startswith("mine"))
    assert str(model_dir) in run("show", "mine", "--json")[1]
    code, out, _ = run("remove", "mine", "--json")
    assert json.loads(out)["freed_bytes"] == 0
    assert (model_dir / "config.json").is_file()
    assert run("show", "mine")[0] == 3


def test_a_template_that_loops_is_one_line_and_exit_code_4(run, model_dir):
    template = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    (model_dir / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    code, out, err = run("add", str(model_dir))
    assert (code, out) == (4, "")
    assert "has a damaged chat template: it takes more than 2 s." in " ".join(err.split())
    assert "Traceback" not in err
    assert "my-model" not in run()[1]


def test_a_folder_that_vanished_is_marked_in_the_list(run, model_dir):
    run("add", str(model_dir), "--json")
    (model_dir / "model.safetensors").unlink()
    assert "broken" in next(line for line in run()[1].splitlines() if line.startswith("my-model"))
    assert "has no weights" in run("show", "my-model")[1]


def test_what_cannot_be_done_has_its_exit_code(run, tmp_path):
    assert run("add", str(tmp_path))[0] == 4
    assert run("pull", BASE, "--offline")[0] == 5
    assert run("remove", BASE)[0] == 3


def test_pull_and_remove_as_a_person_would(hub, model_files, tmp_path):
    hub.serve(load_catalog().find(BASE).repository, model_files)
    pulled = run_process(hub, tmp_path, "pull", BASE)
    assert pulled.returncode == 0, pulled.stderr
    assert "checksums match" in pulled.stderr
    assert "cannot run it yet" not in pulled.stderr
    assert os.path.isfile(os.path.join(pulled.stdout.strip(), "model.safetensors"))
    assert "here" in run_process(hub, tmp_path, "list").stdout

    again = json.loads(run_process(hub, tmp_path, "pull", BASE, "--json").stdout)
    assert again["received_bytes"] == 0
    assert again["directory"] == pulled.stdout.strip()

    refused = run_process(hub, tmp_path, "remove", BASE)
    assert refused.returncode == 2
    assert "add --yes" in refused.stderr
    removed = run_process(hub, tmp_path, "remove", BASE, "--yes")
    assert removed.returncode == 0
    assert "deleted" in removed.stdout
    assert not os.path.exists(pulled.stdout.strip())


def test_a_picture_embedding_model_is_pulled_and_removed_too(hub, tmp_path):
    """Its catalogue is another one: pulling ended in "does not support the model family 'siglip'"."""
    folder = write_tiny_siglip(tmp_path / "siglip")
    entry = load_embedding_catalog().find("SigLIP-base-patch16-224")
    hub.serve(entry.repository, {path.name: path.read_bytes() for path in folder.iterdir()})
    pulled = run_process(hub, tmp_path, "pull", entry.name)
    assert (pulled.returncode, "checksums match" in pulled.stderr) == (0, True), pulled.stderr
    assert os.path.isfile(os.path.join(pulled.stdout.strip(), "model.safetensors"))
    removed = run_process(hub, tmp_path, "remove", entry.name, "--yes")
    assert removed.returncode == 0, removed.stderr
    assert not os.path.exists(pulled.stdout.strip())


def test_a_failed_pull_is_two_lines_and_no_traceback(hub, model_files, tmp_path):
    hub.serve(load_catalog().find(BASE).repository, model_files)
    hub.misbehave(corrupt=["model.safetensors"])
    failed = run_process(hub, tmp_path, "pull", BASE, "--quiet")
    assert failed.returncode == 5
    assert "wrong checksum" in failed.stderr
    assert "hint:" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert failed.stdout == ""


def test_help_needs_no_hub_library():
    script = (
        "import sys; from smallsight.cli import models; "
        "sys.exit(any(name in sys.modules for name in ('huggingface_hub', 'pydantic', 'httpx2')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_variant_is_saved_shown_and_removed(run):
    scheme = "int4; text=int4-groups-32"
    code, out, _ = run("add-variant", "mine", "--base", "Smallsight-tiny", "--scheme", scheme)
    assert (code, out) == (0, f"mine: Smallsight-tiny in {scheme}\n")
    shown = json.loads(run("show", "mine", "--json")[1])
    assert (shown["base"], shown["scheme"], shown["family"]) == ("Smallsight-tiny", scheme, "smolvlm")
    assert set(shown["memory_bytes"]) == {"int4"}
    assert "Smallsight-tiny" in run("show", "mine")[1]
    assert "variant" in run("list")[1]
    code, out, _ = run("remove", "mine")
    assert (code, out) == (0, "mine: variant removed, its base is untouched\n")
    assert run("show", "mine")[0] != 0
