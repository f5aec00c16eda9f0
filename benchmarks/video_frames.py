"""What it takes to look at a video as SmolVLM2 does: opening, decoding the frames, resizing them, and memory.

Videos are made here, of coarse noise that moves, with a key frame every two seconds: real ones take longer to
decode.

Run: python benchmarks/video_frames.py [--json FILE]
"""

from __future__ import annotations

import argparse
import io
import json
import threading
import time
from pathlib import Path

import av
import numpy as np
import psutil

from smallsight.families.smolvlm.video_processor import VideoProcessor
from smallsight.media.video import VideoReader
from smallsight.settings import MIB, Limits

FPS = 30
VIDEOS = (
    ("a minute of 360p", 60, 640, 360),
    ("a minute of 1080p", 60, 1920, 1080),
    ("an hour of 240p", 3600, 426, 240),
)
SMOLVLM2 = {
    "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 512}},
    "max_image_size": {"longest_edge": 512},
    "size": {"longest_edge": 2048},
}


def make_video(seconds: int, width_px: int, height_px: int) -> bytes:
    """Encode noise that moves sideways."""
    coarse = np.random.default_rng(0).integers(0, 256, (height_px // 8 + 1, width_px // 8 + 1, 3), np.uint8)
    image_HWC = coarse.repeat(8, 0).repeat(8, 1)[:height_px, :width_px]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as opened:
        stream = opened.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width_px // 2 * 2, height_px, "yuv420p"
        stream.codec_context.gop_size = 2 * FPS
        frames = [
            av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(image_HWC, 4 * step, 1)), format="rgb24")
            for step in range(8)
        ]
        for index in range(seconds * FPS):
            frame = frames[index // FPS % len(frames)]
            frame.pts = index
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    return buffer.getvalue()


class Peaks:
    """The most that this process and its child had resident during a block."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._begin_bytes = self._process.memory_info().rss
        self.own_bytes = self.child_bytes = 0

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.01):
            self.own_bytes = max(self.own_bytes, self._process.memory_info().rss - self._begin_bytes)
            for child in self._process.children():
                try:
                    self.child_bytes = max(self.child_bytes, child.memory_info().rss)
                except psutil.Error:
                    continue


def look_at(data: bytes) -> dict[str, float]:
    """Do what a request does with a video, up to the vision tower."""
    processor = VideoProcessor(SMOLVLM2, Path("preprocessor_config.json"))
    began_s = time.perf_counter()
    resize_s = 0.0
    with Peaks() as peaks, VideoReader(data, Limits()) as reader:
        open_s = time.perf_counter() - began_s
        kept = []
        for pixels_HWC in reader.frames(processor.choose(reader.facts)):
            resize_began_s = time.perf_counter()
            kept.append(processor.fit(pixels_HWC))
            resize_s += time.perf_counter() - resize_began_s
        total_s = time.perf_counter() - began_s
    return {
        "frames_in_file": reader.facts.num_frames,
        "frames_seen": len(kept),
        "open_s": open_s,
        "decode_s": total_s - open_s - resize_s,
        "resize_s": resize_s,
        "child_peak_mib": peaks.child_bytes / MIB,
        "own_growth_mib": peaks.own_bytes / MIB,
        "frames_kept_mib": sum(one.nbytes for one in kept) / MIB,
    }


def main() -> None:
    """Measure each video and print one line for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for name, seconds, width_px, height_px in VIDEOS:
        found[name] = look_at(make_video(seconds, width_px, height_px))
        print(name, {key: round(value, 2) for key, value in found[name].items()}, flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
