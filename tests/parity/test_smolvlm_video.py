"""SmolVLM2's videos against transformers: the same frames, pixels, prompts, and greedy tokens in fp32."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from clips import animation, clip
from smallsight.engine.loading import load_engine
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import Message, TextPart, VideoPart
from smallsight.families.smolvlm.number_words import number_in_words
from smallsight.model.shown_parts import open_video
from smallsight.quant.scheme import SCHEMES
from smallsight.settings import Limits
from tiny_smolvlm import VIDEO_SHAPES, make_checkpoint

MAX_TOKENS = 10
REFERENCE = Path(__file__).with_name("smolvlm_video_reference.py")
NTSC = Fraction(30000, 1001)
CLIPS = {
    "one frame.mp4": lambda: clip(1, 64, 48, 30),
    "two frames.mp4": lambda: clip(2, 64, 48, 30),
    "half a second.mp4": lambda: clip(15, 80, 60, 30),
    "three seconds.mp4": lambda: clip(30, 64, 48, 10),
    "odd rate.mp4": lambda: clip(95, 64, 48, NTSC),
    "film rate.mp4": lambda: clip(60, 48, 64, Fraction(24000, 1001), codec="libx264"),
    "rate 12.5.mp4": lambda: clip(70, 64, 48, Fraction(25, 2)),
    "rate 1000.mp4": lambda: clip(120, 64, 48, 1000),
    "slow.mp4": lambda: clip(12, 64, 48, Fraction(1, 2)),
    "a minute and a half.mp4": lambda: clip(180, 32, 32, 2, codec="libx264"),
    "an hour.mp4": lambda: clip(3700, 16, 16, 1),
    "wide.mp4": lambda: clip(25, 322, 34, 5),
    "tall.mp4": lambda: clip(25, 18, 256, 5),
    "tile.mp4": lambda: clip(8, 32, 32, 2),
    "small.mp4": lambda: clip(8, 2, 2, 2),
    "large.mp4": lambda: clip(8, 640, 360, 2),
    "key frames apart.mp4": lambda: clip(100, 64, 48, 10, codec="libx264", gop=250),
    "hevc.mp4": lambda: clip(40, 64, 48, 10, codec="libx265"),
    "old.avi": lambda: clip(40, 64, 48, 15, container="avi"),
    "phone.mov": lambda: clip(44, 64, 48, 11, container="mov", codec="libx264"),
    "browser.webm": lambda: clip(50, 64, 48, 25, container="webm", codec="libvpx-vp9"),
    "browser, odd rate.webm": lambda: clip(67, 70, 50, NTSC, container="webm", codec="libvpx"),
    "matroska.mkv": lambda: clip(50, 64, 48, 7, container="matroska", codec="libx264"),
    "broadcast.ts": lambda: clip(50, 64, 48, 25, container="mpegts", codec="mpeg2video"),
    "animation.gif": lambda: animation(9, 41, 30, 700),
    "animation.webp": lambda: animation(9, 30, 41, 400, "WEBP"),
}
QUESTIONS = ("Can you describe this video?", "¿Qué dice?\n\n  Two  spaces, 猫 and 🦙.")


def conversations():
    """Each clip with each question, and some of other shapes."""
    video, closing = {"type": "video"}, {"type": "text", "text": "And now?"}
    for name in CLIPS:
        for question in QUESTIONS:
            yield name, [{"role": "user", "content": [video, {"type": "text", "text": question}]}]
    words = [{"type": "text", "text": "Look:"}, video, closing]
    yield "three seconds.mp4", [{"role": "user", "content": words}]
    yield (
        "odd rate.mp4",
        [
            {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "user", "content": [video, {"type": "text", "text": "What is it?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "A thing."}]},
            {"role": "user", "content": [closing]},
        ],
    )


JOBS = list(conversations())


@pytest.fixture(scope="session")
def folder_of_clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name, make in CLIPS.items():
        (folder / name).write_bytes(make())
    return folder


def ask_reference(folder, clips, results):
    jobs = [{"video": str(clips / name), "messages": messages} for name, messages in JOBS]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(REFERENCE), str(folder), str(folder / "jobs.json"), str(results)],
        env=environment,
        check=True,
    )
    return np.load(results)


def messages_of(described, video):
    return [
        Message(
            turn["role"],
            tuple(
                VideoPart(video) if part["type"] == "video" else TextPart(part["text"])
                for part in turn["content"]
            ),
        )
        for turn in described
    ]


@pytest.mark.parametrize("shape", VIDEO_SHAPES, ids=lambda shape: shape.name)
def test_inputs_and_greedy_tokens_are_the_references(shape, folder_of_clips, tmp_path):
    directory = make_checkpoint(tmp_path / shape.name, shape)
    expected = ask_reference(directory, folder_of_clips, tmp_path / "results.npz")
    different = []
    with closing(load_engine("smolvlm", directory, SCHEMES["fp32"], threads=1)) as engine:
        for index, (name, described) in enumerate(JOBS):
            data = (folder_of_clips / name).read_bytes()
            video = open_video(data, engine.frame_sampling, Limits())
            prompt = engine.processor.prepare(messages_of(described, video))
            assert list(prompt.token_ids) == expected[f"{index} input_ids"].tolist(), name
            ours = np.concatenate([engine.processor.normalise(tile.pixels_HWC) for tile in prompt.tiles])
            theirs = expected[f"{index} pixel_values"]
            # Theirs are scaled and shifted in one step, which rounds differently; the bytes are the same.
            np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=name)
            outcome = engine.worker.submit(prompt, SamplingOptions(max_tokens=MAX_TOKENS)).result()
            if [choice.token_id for choice in outcome.choices] != expected[f"{index} answer"].tolist():
                different.append(name)
    assert different == []
    assert [number_in_words(number) for number in range(1000)] == expected["number_words"].tolist()


def test_enough_combinations_are_compared():
    assert len(VIDEO_SHAPES) * len(JOBS) >= 150
