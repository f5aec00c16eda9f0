"""Measures what frames of animations and videos cost an index run, in processor time.

``python benchmarks/frame_embedding.py [--rounds N] [--json FILE]`` draws GIFs and encodes MP4 (needs the
``video`` extra), indexes each set with ``smallsight index --fast``, and then makes only the stage
``embed_frames`` due again. The time of the command and its children counts, less that of a run that finds
nothing to do.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import av
import numpy as np
from PIL import Image

Frames = list[np.ndarray]


def moving(num_frames: int, width: int, height: int, seed: int) -> Frames:
    """Return frames that move over coarse noise, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    page = rng.integers(0, 256, (height // 8 + 40, width // 8 + 40, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    return [page[one % 200 :][:height, (2 * one) % 300 :][:, :width] for one in range(num_frames)]


def as_gif(frames: Frames, fps: int) -> bytes:
    """Encode an animation."""
    first, *rest = (Image.fromarray(one) for one in frames)
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=rest, duration=1000 // fps, loop=0)
    return out.getvalue()


def as_mp4(frames: Frames, fps: int) -> bytes:
    """Encode a video with H.264 and a key frame every two seconds."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as opened:
        stream = opened.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "g": str(2 * fps)})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for one in frames:
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(one), format="rgb24")))
        opened.mux(stream.encode())
    return out.getvalue()


SETS: dict[str, tuple[int, tuple[int, int, int], int, Callable[[Frames, int], bytes]]] = {
    "GIF, 30 frames of 240 x 180, 3 s": (20, (30, 240, 180), 10, as_gif),
    "GIF, 500 frames of 240 x 180, 20 s": (4, (500, 240, 180), 25, as_gif),
    "MP4, 300 frames of 1280 x 720, 20 s": (8, (300, 1280, 720), 15, as_mp4),
}


def processor_s(home: Path, *arguments: str) -> float:
    """Run ``smallsight index --fast`` and return its processor time, with that of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "smallsight", "index", "--fast", "--quiet", *arguments]
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def forget_frames(home: Path) -> int:
    """Make the stage due again; return how many vectors there were."""
    with closing(sqlite3.connect(home / "library.sqlite3")) as connection:
        connection.execute("DELETE FROM outcome WHERE stage = 'embed_frames'")
        removed = connection.execute("DELETE FROM picture_vector WHERE time_s IS NOT NULL").rowcount
        connection.commit()
    return removed


def main() -> None:
    """Measure every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    results = {}
    for name, (number, shape, fps, encode) in SETS.items():
        with tempfile.TemporaryDirectory() as folder:
            album, home = Path(folder, "album"), Path(folder, "home")
            album.mkdir()
            for seed in range(number):
                (album / f"{seed}.{encode.__name__[3:]}").write_bytes(encode(moving(*shape, seed), fps))
            whole_s, idle_s = processor_s(home, str(album)), processor_s(home)
            num_vectors, rounds = 0, []
            for _ in range(chosen.rounds):
                num_vectors = forget_frames(home)
                rounds.append((processor_s(home) - idle_s) / number)
        results[name] = {
            "files": number,
            "frames_each": num_vectors / number,
            "whole_s": (whole_s - idle_s) / number,
            "frames_s": rounds,
        }
        shown = ", ".join(f"{one:.2f}" for one in rounds)
        print(
            f"{number} {name}: {num_vectors / number:.1f} frames; index {(whole_s - idle_s) / number:.2f} s, "
            f"of which frames {shown} s a file",
            flush=True,
        )
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
