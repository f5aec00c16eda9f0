"""Measures the way of a large picture from its file to a model's patches: opening, cutting, patches.

Two JPEGs are made: one of noise, which is the most that an entropy decoder has to do, and one like a photo.
They are opened in one kept decoding process and cut as SmolVLM's tiles of 512 pixels. Beside each step stands
what libjpeg alone takes in this process. On a machine that others use, only the least values count.

Run: python benchmarks/large_picture.py [--size 4000 3000] [--turns 40] [--json FILE]
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from smallsight.families.messages import Detail
from smallsight.families.smolvlm.image_processor import ImageProcessor
from smallsight.machine.extension import find_extension
from smallsight.model.picture_argument import PictureOpener
from smallsight.settings import Limits

TILE_PX, LONGEST_PX, PATCH_PX = 512, 2048, 16
STEPS = ("open", "cut", "patches", "all")
QUALITY = 85


def make_pictures(width: int, height: int) -> dict[str, bytes]:
    """Return a JPEG of noise and one like a photo: soft shapes with a little grain."""
    random = np.random.default_rng(0)
    slope = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 100, width))[..., None]
    noise = (slope + random.normal(0, 20, (height, width, 3))).clip(0, 255).astype(np.uint8)
    shapes = Image.fromarray(random.integers(0, 256, (30, 40, 3), np.uint8))
    soft = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    photo = (soft + random.normal(0, 3, (height, width, 1))).clip(0, 255).astype(np.uint8)
    return {"noise": as_jpeg(noise), "photo": as_jpeg(photo)}


def as_jpeg(pixels_HWC: np.ndarray) -> bytes:
    """Return pixels as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def least_and_median_ms(seconds: list[float]) -> dict[str, float]:
    """Return both in milliseconds."""
    return {"least": round(min(seconds) * 1e3, 1), "median": round(statistics.median(seconds) * 1e3, 1)}


def decode_alone(data: bytes, turns: int) -> dict[str, float]:
    """Return how long Pillow decodes in this process, which is what no opening can undercut."""
    seconds = []
    for _ in range(turns):
        began_s = time.perf_counter()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
        seconds.append(time.perf_counter() - began_s)
    return least_and_median_ms(seconds)


def one_turn(
    opener: PictureOpener, processor: ImageProcessor, path: Path
) -> tuple[dict[str, float], dict[str, float], int]:
    """Return the seconds of each step by the clock and of this process, and the number of tiles."""
    marks = [(time.perf_counter(), time.process_time())]

    def mark() -> None:
        marks.append((time.perf_counter(), time.process_time()))

    pixels = opener.open_pixels(path)
    mark()
    tiled = processor.cut(pixels, Detail.HIGH)
    mark()
    for tile in tiled.tiles:  # as the encoder asks for them, one after the other
        processor.to_patches(tile.pixels_HWC, PATCH_PX)
    mark()
    clock, process = (
        dict(zip(STEPS, [*np.diff(column).tolist(), column[-1] - column[0]], strict=True))
        for column in map(list, zip(*marks, strict=True))
    )
    return clock, process, len(tiled.tiles)


def measure(opener: PictureOpener, data: bytes, folder: Path, turns: int) -> dict[str, Any]:
    """Return what each step takes for one picture, after one turn that is not counted."""
    path = folder / "large.jpg"
    path.write_bytes(data)
    processor = ImageProcessor(
        {"max_image_size": {"longest_edge": TILE_PX}, "size": {"longest_edge": LONGEST_PX}}, path
    )
    one_turn(opener, processor, path)
    child = psutil.Process(opener.child_pid)
    before_s = sum(child.cpu_times()[:2])
    found = [one_turn(opener, processor, path) for _ in range(turns)]
    child_s = sum(child.cpu_times()[:2]) - before_s
    return {
        "file_bytes": len(data),
        "tiles": found[0][2],
        "decode_alone_ms": decode_alone(data, turns),
        "clock_ms": {step: least_and_median_ms([clock[step] for clock, _, _ in found]) for step in STEPS},
        "process_ms": {step: least_and_median_ms([cpu[step] for _, cpu, _ in found]) for step in STEPS},
        "child_process_ms_mean": round(child_s / turns * 1e3, 1),
        "child_peak_mib": peak_mib(child.pid),
    }


def peak_mib(pid: int) -> int | None:
    """Return the most memory that a process had resident, on Linux."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), None)


def show(name: str, result: dict[str, Any]) -> None:
    """Print one picture's times."""
    print(
        f"{name}: {result['file_bytes'] / 1e6:.1f} MB, {result['tiles']} tiles, libjpeg alone "
        f"{result['decode_alone_ms']['least']} ms"
    )
    for step in STEPS:
        clock, cpu = result["clock_ms"][step], result["process_ms"][step]
        print(
            f"  {step:8} {clock['least']:6.1f} ms at least, median {clock['median']:6.1f}, "
            f"this process {cpu['least']:6.1f}"
        )
    print(f"  decoding process {result['child_process_ms_mean']} ms, at most {result['child_peak_mib']} MiB")


def main() -> None:
    """Make the pictures, measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=2, default=(4000, 3000), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results: dict[str, Any] = {"size": list(given.size), "extension": find_extension().module is not None}
    with PictureOpener(Limits()) as opener, tempfile.TemporaryDirectory() as folder:
        for name, data in make_pictures(*given.size).items():
            results[name] = measure(opener, data, Path(folder), given.turns)
            show(name, results[name])
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
