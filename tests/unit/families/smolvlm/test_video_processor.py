from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.messages import Frame, Video
from smallsight.families.smolvlm.number_words import number_in_words
from smallsight.families.smolvlm.video_processor import VideoProcessor, words_around
from smallsight.media.video import VideoFacts

DESCRIBED = {
    "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 512}},
    "max_image_size": {"longest_edge": 32},
    "size": {"longest_edge": 128},
}


def processor(**changes: object) -> VideoProcessor:
    return VideoProcessor({**DESCRIBED, **changes}, Path("preprocessor_config.json"))


def facts(num_frames: int, fps: float) -> VideoFacts:
    return VideoFacts(64, 48, num_frames, fps, num_frames / fps)


@pytest.mark.parametrize(
    ("num_frames", "fps", "expected"),
    [
        (1, 30, [0]),
        (15, 30, [0]),
        (90, 30, [0, 44, 89]),
        (2, 0.5, [0, 1]),
        (10, 1000, [0]),
    ],
)
def test_one_frame_a_second(num_frames: int, fps: float, expected: list[int]):
    assert processor().choose(facts(num_frames, fps)) == expected


def test_a_long_video_loses_a_second_at_both_ends():
    chosen = processor().choose(facts(108_000, 30))
    assert (len(chosen), chosen[0], chosen[-1]) == (64, 30, 107_970)
    assert processor().choose(facts(66 * 30, 30))[0] == 0  # exactly as long as is looked at


def test_words_and_times():
    frames = tuple(Frame(np.zeros((2, 2, 3), np.uint8), time_s) for time_s in (0.0, 61.9, 3725.0))
    words = words_around(Video(frames, 3726.9), ["A", "B", "C"])
    assert words == (
        "You are provided the following series of three frames from a 1:02:06 [H:MM:SS] video.\n"
        "\nFrame from 00:00:A\nFrame from 01:01:B\nFrame from 62:05:C\n\n"
    )


def test_numbers_end_somewhere():
    assert number_in_words(512) == "five hundred and twelve"
    with pytest.raises(ValueError, match="1000"):
        number_in_words(1000)


def test_frames_become_squares():
    assert processor().fit(np.zeros((48, 64, 3), np.uint8)).shape == (32, 32, 3)
    assert processor().fit(np.zeros((1, 1, 3), np.uint8)).shape == (32, 32, 3)


def test_where_it_is_looked_for(tmp_path: Path):
    assert VideoProcessor.find(tmp_path) is None
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"longest_edge": 128}}))
    assert VideoProcessor.find(tmp_path) is None
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(DESCRIBED))
    found = VideoProcessor.find(tmp_path)
    assert found is not None
    assert found.tile_px == 32
    newer = {"fps": 2, "num_frames": 8, "max_image_size": {"longest_edge": 16}, "size": {"longest_edge": 64}}
    (tmp_path / "processor_config.json").write_text(json.dumps({"video_processor": newer}))
    found = VideoProcessor.find(tmp_path)
    assert found is not None
    assert found.tile_px == 16
    assert len(found.choose(facts(300, 10))) == 8
    (tmp_path / "processor_config.json").write_text(json.dumps({"video_processor": {"num_frames": None}}))
    assert VideoProcessor.find(tmp_path) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"video_sampling": {"fps": 0, "max_frames": 64}},
        {"video_sampling": {"fps": 1, "max_frames": 5000}},
        {"video_sampling": {"fps": "1", "max_frames": 4}},
        {"video_sampling": {"fps": float("nan"), "max_frames": 4}},
        {"size": {"longest_edge": 0}},
        {"max_image_size": None},
    ],
    ids=str,
)
def test_nonsense_is_refused(changes: dict[str, object]):
    with pytest.raises(BrokenCheckpointError, match="video"):
        processor(**changes)


def test_another_filter_is_not_run():
    with pytest.raises(ModelNotRunnableError):
        processor(resample=3)
