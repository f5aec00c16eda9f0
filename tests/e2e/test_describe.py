"""Descriptions from end to end with the test model: single pictures, several, and a library."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from PIL import Image

from tiny_smolvlm import SHAPES, make_checkpoint

from .conftest import Command


@pytest.fixture(autouse=True)
def without_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what these tests do not look at, and what takes longest."""
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures whose names say something, and one damaged file."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(("cat-on-sofa_2", "red balloon", "Größe über alles")):
        Image.new("RGB", (40, 30), (90 * number, 10, 10)).save(folder / f"{name}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    return folder


def test_one_picture_is_described_on_standard_output(smallsight: Command, pictures: Path):
    out, err = smallsight.run("describe", pictures / "cat-on-sofa_2.png", "--model", "test")
    assert (out, err) == ("cat on sofa 2\n", "")


def test_several_pictures_are_told_with_their_paths_and_one_bad_one_on_the_side(
    smallsight: Command, pictures: Path
):
    paths = [pictures / "Größe über alles.png", pictures / "broken.jpg", pictures / "red balloon.png"]
    gone = pictures / "gone.png"
    out, err = smallsight.run("describe", *paths, gone, "--model", "test", code=4)
    assert out == f"{paths[0]}\nGröße über alles\n\n{paths[2]}\nred balloon\n\n"
    assert err.startswith(f"error: {paths[1]}: The JPEG data is damaged")
    assert err.splitlines()[-2:] == [f"error: There is no such file: {gone}", "hint: check the path."]


def test_one_bad_picture_is_one_sentence(smallsight: Command, pictures: Path):
    out, err = smallsight.run("describe", pictures / "broken.jpg", "--model", "test", code=4)
    assert out == ""
    assert err.startswith("error: The JPEG data is damaged")
    assert "Traceback" not in err


def test_json_is_one_object_a_picture(smallsight: Command, pictures: Path):
    paths = [pictures / "cat-on-sofa_2.png", pictures / "broken.jpg"]
    good, bad = smallsight.json("describe", *paths, "--model", "test", "--max-tokens", "2", code=4)
    assert (good["path"], good["text"], good["finish_reason"]) == (str(paths[0]), "cat on", "length")
    assert (good["model"], good["error"]) == ("test", None)
    assert good["usage"]["completion_tokens"] == 2
    assert good["timings"]["total_s"] > 0
    assert (bad["path"], bad["text"], bad["error"]["code"]) == (str(paths[1]), None, "corrupt_picture")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "SmolVLM-256M-Instruct-int8"], 5, "models pull SmolVLM-256M-Instruct-int8"),
        (["--model", "test", "--length", "huge"], 2, "--length cannot be 'huge'"),
        (["--model", "test", "--length", "short", "--prompt", "Hm?"], 2, "--length"),
        (["--model", "no such model"], 3, "There is no model called"),
        (["--model", "test", "--detail", "huge"], 2, "--detail cannot be 'huge'"),
        (["--model", "test", "--precision", "int3"], 2, "--precision cannot be 'int3'"),
        (["--model", "test", "--max-tokens", "0"], 2, "--max-tokens"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    smallsight: Command,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
):
    monkeypatch.setenv("HF_HUB_CACHE", str(pictures / "no models here"))
    out, err = smallsight.run("describe", pictures / "red balloon.png", *arguments, code=code)
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_the_setting_chooses_the_model(smallsight: Command, pictures: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMALLSIGHT_DESCRIBE__MODEL", "test")
    monkeypatch.setenv("SMALLSIGHT_DESCRIBE__MAX_TOKENS", "1")
    assert smallsight.run("describe", pictures / "red balloon.png")[0] == "red\n"
    report = smallsight.json("index", pictures, "--no-describe")
    assert report["stages"]["describe"] == {"done": 0, "failed": 0, "seconds": 0}
    assert smallsight.json("index", pictures)["stages"]["describe"]["done"] == 3
    assert smallsight.json("show", pictures / "red balloon.png")["description"] == "red"


def test_ctrl_c_ends_with_130(smallsight: Command, pictures: Path):
    paths = [pictures / "red balloon.png"] * 3000
    process = smallsight.start("describe", *paths, "--model", "test")
    assert process.stdout is not None
    assert process.stdout.readline().strip() == str(paths[0])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert out.count(str(paths[0])) < 2999, "it went on to the end"
    assert "Traceback" not in err


def test_indexing_describes_what_lacks_a_description_and_leaves_a_persons_alone(
    smallsight: Command, pictures: Path
):
    mine = pictures / "red balloon.png"
    smallsight.run("index", pictures)
    assert smallsight.json("show", mine)["description"] is None
    smallsight.run("edit", mine, "--description", "my own balloon")
    report = smallsight.json("index", "--model", "test")
    assert report["stages"]["describe"]["done"] == 2
    shown = smallsight.json("show", mine)
    assert (shown["description"], shown["description_by"], shown["description_model"]) == (
        "my own balloon",
        "human",
        None,
    )
    shown = smallsight.json("show", pictures / "cat-on-sofa_2.png")
    assert (shown["description"], shown["description_by"], shown["description_model"]) == (
        "cat on sofa 2",
        "machine",
        "test",
    )
    smallsight.run("edit", mine, "--description", "")
    assert smallsight.json("index", "--model", "test")["stages"]["describe"]["done"] == 1
    assert smallsight.json("show", mine)["description"] == "red balloon"


def test_a_model_that_cannot_be_had_is_told_before_the_work(smallsight: Command, pictures: Path):
    _, err = smallsight.run("index", pictures, "--model", "no such model", code=3)
    assert "There is no model called" in err
    assert smallsight.json("folders") == []
    _, err = smallsight.run("index", pictures, "--model", "test", "--no-describe", code=2)
    assert "contradict" in err


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "tiny", SHAPES[0])


@pytest.mark.slow
def test_a_real_network_describes_the_same_in_every_way(
    smallsight: Command, pictures: Path, checkpoint: Path
):
    path = pictures / "red balloon.png"
    chosen = ("--model", checkpoint, "--precision", "int8", "--max-tokens", "8")
    (answer,) = smallsight.json("describe", path, *chosen)
    assert answer["usage"]["image_tokens"] > 0
    assert answer["usage"]["completion_tokens"] <= 8
    streamed, _ = smallsight.run("describe", path, *chosen)
    assert streamed.strip().replace("\N{REPLACEMENT CHARACTER}", "") != ""
    (again,) = smallsight.json("describe", path, *chosen)
    assert again["text"] == answer["text"]


def test_a_real_network_describes_a_library(smallsight: Command, pictures: Path, checkpoint: Path):
    report = smallsight.json("index", pictures, "--model", checkpoint)
    assert report["stages"]["describe"]["done"] == 3
    assert smallsight.json("show", pictures / "red balloon.png")["description"]
    assert smallsight.json("index", "--model", checkpoint)["stages"]["describe"]["done"] == 0
