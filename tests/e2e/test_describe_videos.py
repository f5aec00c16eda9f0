"""Videos through the command and the Python interface, with a model that knows them and one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import smallsight
from clips import animation, clip
from smallsight.engine.torch.packages import has_torch
from smallsight.errors import PictureError
from tiny_smolvlm import SHAPES, VIDEO_SHAPES, make_checkpoint

from .conftest import Command

needs_torch = pytest.mark.skipif(not has_torch(), reason="needs torch and transformers")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    make_checkpoint(root / "video", VIDEO_SHAPES[0])
    make_checkpoint(root / "pictures", SHAPES[0])
    return root


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(clip(50, fps=10))
    (folder / "loop.gif").write_bytes(animation(6, frame_ms=500))
    (folder / "broken.mp4").write_bytes(clip(50)[:300])
    Image.new("RGB", (40, 30), "red").save(folder / "red.png")
    return folder


def first_frame(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return opened.convert("RGB")


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("engine", ["openvino", pytest.param("torch", marks=needs_torch)])
def test_asking_describing_and_streaming_are_of_one_mind(checkpoints: Path, files: Path, engine: str):
    with smallsight.load(checkpoints / "video", precision="fp32", engine=engine) as model:
        for video in ("clip.mp4", "loop.gif"):
            path = files / video
            described = model.describe(path, max_tokens=8)
            prompt = "Can you describe this video?"
            assert model.ask(str(path), prompt, max_tokens=8).token_ids == described.token_ids
            assert model.ask(path.read_bytes(), prompt, max_tokens=8).text == described.text
            assert "".join(model.stream(path, max_tokens=8)).strip() == described.text
            assert model.ask(model.frames_of(path), prompt, max_tokens=8).text == described.text
            part = [{"type": "video", "video": path}, {"type": "text", "text": prompt}]
            assert model.ask([], [{"role": "user", "content": part}], max_tokens=8).text == described.text
            (one,) = model.describe_many([path], max_tokens=8)
            assert isinstance(one, smallsight.model.answer.Answer)
            assert one.text == described.text
        times = [frame.time_s for frame in model.frames_of(files / "clip.mp4").video.frames]
        assert times == [0.0, 1.2, 2.4, 3.6, 4.9]


def test_an_animation_among_pictures_is_a_picture(checkpoints: Path, files: Path):
    paths = [files / "loop.gif", files / "red.png"]
    with smallsight.load(checkpoints / "video", precision="fp32") as model:
        together = model.ask(paths, "Compare.", max_tokens=8)
        first = first_frame(paths[0])
        assert model.ask([first, paths[1]], "Compare.", max_tokens=8).token_ids == together.token_ids
        part = [{"type": "image", "image": paths[0]}, {"type": "text", "text": "What?"}]
        as_picture = model.ask([], [{"role": "user", "content": part}], max_tokens=8)
        assert as_picture.token_ids == model.ask(first, "What?", max_tokens=8).token_ids


def test_a_model_of_pictures_sees_four_frames_of_a_video_and_the_first_of_an_animation(
    checkpoints: Path, files: Path
):
    with smallsight.load(checkpoints / "pictures", precision="fp32") as model:
        seen = model.frames_of(files / "clip.mp4").video
        assert [frame.time_s for frame in seen.frames] == [0.6, 1.8, 3.1, 4.3]
        assert all(max(frame.pixels_HWC.shape) == 32 for frame in seen.frames)
        frames = [frame.pixels_HWC for frame in seen.frames]
        assert model.ask(files / "clip.mp4", "What?").text == model.ask(frames, "What?").text
        first = first_frame(files / "loop.gif")
        assert model.ask(files / "loop.gif", "What?").text == model.ask(first, "What?").text


def test_what_is_no_video_is_a_sentence(checkpoints: Path, files: Path):
    with smallsight.load(checkpoints / "video", precision="fp32") as model:
        for video in (files / "red.png", files / "broken.mp4", b"hello", Image.new("RGB", (5, 5))):
            with pytest.raises(PictureError):
                model.frames_of(video)
        with pytest.raises(PictureError):
            model.ask(files / "broken.mp4", "What?")


@pytest.mark.parametrize("name", ["video", "pictures"])
def test_the_command_describes_a_video_and_draws_what_it_saw(
    smallsight: Command, checkpoints: Path, files: Path, tmp_path: Path, name: str
):
    arguments = ["--model", checkpoints / name, "--precision", "fp32", "--max-tokens", "8"]
    out, err = smallsight.run("describe", files / "clip.mp4", *arguments)
    assert out.strip()
    assert err.startswith("The answer was cut at 8 tokens") or not err
    sheet = tmp_path / "sheet.png"
    again, note = smallsight.run("describe", files / "clip.mp4", *arguments, "--frames", sheet)
    assert again == out
    assert f"frames to {sheet}" in note
    with Image.open(sheet) as drawn:
        assert drawn.width > 64
        assert len(drawn.getcolors(100_000) or []) > 10
    (told,) = smallsight.json("describe", files / "clip.mp4", *arguments, "--frames", sheet)
    assert told["text"] == out.strip()
    assert told["usage"]["image_tokens"] > 0


def test_videos_and_pictures_in_one_command(smallsight: Command, files: Path):
    paths = [files / "clip.mp4", files / "red.png", files / "broken.mp4", files / "loop.gif"]
    out, err = smallsight.run("describe", *paths, "--model", "test", code=4)
    assert out == f"{paths[0]}\nclip\n\n{paths[1]}\nred\n\n{paths[3]}\nloop\n\n"
    assert err.startswith(f"error: {paths[2]}: The MP4 video is damaged")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["clip.mp4", "red.png", "--frames", "sheet.png"], 2, "--frames works with one video only"),
        (["clip.mp4", "--frames", "sheet.doc"], 2, "--frames cannot write"),
        (["clip.mp4", "--frames", "no/such/folder/sheet.png"], 7, "cannot be written"),
        (["red.png", "--frames", "sheet.png"], 4, "it is a picture"),
    ],
)
def test_a_sheet_that_cannot_be_drawn_is_a_sentence(
    smallsight: Command, files: Path, arguments: list[str], code: int, words: str
):
    places = [files / one if one.endswith(("mp4", "png", "doc")) else one for one in arguments]
    out, err = smallsight.run("describe", *places, "--model", "test", code=code)
    assert (out, words in err) == ("", True), err
    assert "Traceback" not in err
