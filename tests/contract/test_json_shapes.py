"""What --json prints is what the guide says it prints."""

import json
import os
import re

import pytest
from PIL import Image

from contract.checkout import GUIDE
from forked_commands import run_command as run_forked

PRECISIONS = {"fp32", "bf16", "fp16", "int8", "int4", "nf4"}


def documented_keys(name):
    text = GUIDE.read_text(encoding="utf-8")
    section = text.split(f"<!-- json {name} -->\n")[1].split("<!-- json ")[0].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def key_paths(data, prefix=""):
    """Yield a path for every leaf, and one for a list or object that may be null."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            shown = "PRECISION" if key in PRECISIONS else key
            yield from key_paths(value, f"{prefix}.{shown}" if prefix else shown)
    elif isinstance(data, list) and data and isinstance(data[0], dict | list):
        for value in data:
            yield from key_paths(value, f"{prefix}[]") if isinstance(value, dict) else [prefix]
    else:
        yield prefix


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("json-home")
    pictures = home / "pictures"
    pictures.mkdir()
    Image.new("RGB", (64, 48), "red").save(pictures / "red balloon.png")
    Image.new("RGB", (64, 48), "blue").save(pictures / "blue whale.png")
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    others = home / "others"
    others.mkdir()
    Image.new("RGB", (8, 8), "green").save(others / "green.png")
    environment = {
        **os.environ,
        "SMALLSIGHT_HOME": str(home / "data"),
        "SMALLSIGHT_INDEX__OCR": "false",
        "SMALLSIGHT_REMOTES": '{"afar": {"base_url": "http://127.0.0.1:9/v1", "fallback": "test"}}',
        "HF_HUB_OFFLINE": "1",
    }

    def run_command(*arguments, exit_code=0):
        code, out, err = run_forked([*map(str, arguments), "--json", "--quiet"], environment)
        assert code == exit_code, err
        assert err == ""
        return json.loads(out)

    run_command.pictures = pictures
    run_command.others = others
    run_command.indexed = run_command("index", pictures, others)
    return run_command


def assert_shape(name, data):
    documented, real = documented_keys(name), set(key_paths(data))
    assert documented, f"the guide does not say what {name} prints"
    unknown = {key for key in real if key not in documented and not may_be_empty(key, documented)}
    assert unknown == set(), f"printed by {name} and not in the guide"
    tops = {re.split(r"[.\[]", key.removeprefix("[]."))[0] for key in real}
    missing = {key for key in documented if re.split(r"[.\[]", key.removeprefix("[]."))[0] not in tops}
    assert missing == set(), f"in the guide and not printed by {name}"


def may_be_empty(key, documented):
    """Say whether the key stands for an empty list or object whose contents are documented."""
    return any(one.startswith((f"{key}[]", f"{key}.")) for one in documented)


def test_index(run):
    assert_shape("index", run.indexed)
    assert [problem["code"] for problem in run.indexed["problems"]] == ["corrupt_picture"]


def test_search(run):
    found = run("search", "balloon")
    assert_shape("search", found)
    assert next(hit["path"] for hit in found) == str(run.pictures / "red balloon.png")


def test_show_and_edit(run):
    picture = run.pictures / "blue whale.png"
    edited = run("edit", picture, "--tag", "sea", "--description", "A whale.")
    assert_shape("show", edited)
    assert run("show", picture) == edited


def test_several_edits_tags_and_undo(run):
    red, blue = run.pictures / "red balloon.png", run.pictures / "blue whale.png"
    nowhere = run.pictures / "nowhere.png"
    assert_shape("edit", run("edit", red, blue, nowhere, "--tag", "things", "--untag", "x", exit_code=3))
    assert_shape("tags", run("tags"))
    assert_shape("tags rename", run("tags", "rename", "things", "objects"))
    assert_shape("undo list", run("undo", "--list"))
    last = run("undo", "--list")[1]["edit"]
    run("edit", red, "--tag", "Objects", "--untag", "objects")
    undone = run("undo", last)
    assert_shape("undo", undone)
    assert_shape("undo", run("redo"))


def test_describe(run):
    paths = [run.pictures / "red balloon.png", run.pictures / "broken.png"]
    described = run("describe", *paths, "--model", "test", exit_code=4)
    assert_shape("describe", described)
    assert [row["text"] for row in described] == ["red balloon", None]
    assert set(described[0]) == set(described[1])


def test_describe_lines(run, tmp_path):
    described = run("describe", run.others, "--model", "test", "--out", tmp_path / "lines.jsonl")
    assert_shape("describe --out", described)
    row = json.loads((tmp_path / "lines.jsonl").read_text())
    known = {key.removeprefix("[].").split(".")[0] for key in documented_keys("describe")}
    assert set(row) == {*known, "sha256", "taken", "camera", "request"}


def test_caption(run, tmp_path):
    captioned = run("caption", run.pictures, "--model", "test", "--out", tmp_path / "a.jsonl", exit_code=4)
    assert_shape("caption", captioned)
    assert (captioned["rows"], captioned["described"], captioned["failed"]) == (3, 2, 1)


def test_import(run, tmp_path):
    pytest.importorskip("pyarrow")
    run("caption", run.pictures, "--model", "test", "--out", tmp_path / "a.jsonl", exit_code=4)
    (tmp_path / "not a table.parquet").write_bytes(b"PAR1")
    imported = run("import", tmp_path / "a.jsonl", tmp_path / "not a table.parquet", exit_code=4)
    assert_shape("import", imported)
    assert (imported["rows"], imported["bad_rows"]) == (3, {"failed_there": 1})


def test_export(run, tmp_path):
    assert_shape("export", run("export", "--out", tmp_path / "all.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    for row in rows:
        assert_shape("export --format jsonl", row)


def test_doctor(run):
    assert_shape("doctor", run("doctor"))


def test_models(run):
    listed = run("models", "list")
    assert_shape("models list", listed)
    shown = run("models", "show", "SmolVLM-256M-Instruct")
    assert set(shown) == set(next(m for m in listed["models"] if m["name"] == "SmolVLM-256M-Instruct"))
    assert [run("models", "show", "afar")] == listed["remotes"]
    assert_shape("models embedding", run("models", "embedding"))


def test_an_error(run):
    assert set(run("show", "nowhere.png", exit_code=3)["error"]) == {"code", "message", "hint"}


def test_settings(run):
    found = run("settings")
    assert {name for one in found for name in one} == documented_keys_of_list("settings")
    assert {"home", "models", "server.port"} <= {one["name"] for one in found}


def documented_keys_of_list(name):
    return {key.removeprefix("[].") for key in documented_keys(name)}


def test_keys(run):
    assert_shape("keys add", run("keys", "add", "phone", "--scope", "use"))
    assert_shape("keys list", run("keys"))
    assert_shape("keys remove", run("keys", "remove", "phone"))
    assert run("keys", "list") == []


def test_lost(run, tmp_path):
    gone = tmp_path / "gone.png"
    Image.new("RGB", (40, 30), "teal").save(gone)
    (tmp_path / "stays.txt").write_text("so that the folder is not empty")
    run("index", tmp_path)
    run("edit", gone, "--tag", "sea")
    gone.unlink()
    run("index", tmp_path)
    lost = run("lost")
    assert_shape("lost", lost)
    assert lost[0]["paths"] == [str(gone)]
    run("lost", "attach", lost[0]["id"], run.pictures / "blue whale.png")
    assert run("lost") == []
    run("folders", "remove", tmp_path)


def test_folders_and_their_removal(run):
    assert_shape("folders", run("folders"))
    assert_shape("folders remove", run("folders", "remove", run.others))


def test_a_wrong_shape_would_be_noticed(run):
    with pytest.raises(AssertionError, match="not in the guide"):
        assert_shape("doctor", {"findings": [{"name": "", "health": "", "text": "", "remedy": "", "new": 1}]})
    with pytest.raises(AssertionError, match="not printed"):
        assert_shape("folders remove", {"removed": ""})


def test_library_backup_and_check(run, tmp_path):
    assert_shape("library backup", run("library", "backup", tmp_path / "backup"))
    checked = run("library", "check")
    assert_shape("library check", checked)
    assert checked["problems"] == []
