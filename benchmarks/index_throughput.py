"""Pictures per second by stage, and the memory of all processes, on the examples and on generated pictures.

Runs the real command in a process of its own. "hash" includes reading the file, "decode" includes the
thumbnail and the hashes, "read" is OCR, "embed" the text vectors; decoding overlaps with reading, so the
whole takes less than the sum. It runs any source tree since 0.2 whose dependencies are installed:
PYTHONPATH=OTHER/src chooses one.

Run: python benchmarks/index_throughput.py [--pictures 1000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from PIL import Image, ImageDraw, ImageFilter, ImageFont

EXAMPLES = Path(__file__).parent.parent / "examples" / "pictures"
MIB = 1024 * 1024
SIZES_PX = (
    (480, 480),
    (640, 480),
    (800, 600),
    (500, 750),
    (1024, 768),
    (1080, 1350),
    (1170, 2532),
    (1600, 1200),
)
WORDS = (
    "when the code works but nobody knows why monday again coffee first meeting could have been email cat "
    "dog pizza robot deadline friday weekend server down please restart update password forgotten still "
    "waiting for summer holiday train ticket garden lighthouse pancake umbrella keyboard dinosaur"
).split()


def main() -> None:
    """Measure both sets, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000, help="generated pictures; 0 for none")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        results = {"examples": measure(EXAMPLES, Path(place) / "one")}
        report("examples", results["examples"])
        if arguments.pictures:
            folder = Path(place) / "generated"
            generate(folder, arguments.pictures)
            results["generated"] = measure(folder, Path(place) / "two")
            report("generated", results["generated"])
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def measure(folder: Path, home: Path) -> dict[str, Any]:
    """Index a folder into a new library and return figures by stage; times in seconds, memory in MiB."""
    started_s = time.perf_counter()
    used_s = processor_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", "smallsight", "index", str(folder), "--json", "--quiet"],
        env={**os.environ, "SMALLSIGHT_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    watch = TreeMemory(process.pid)
    watch.start()
    output, _ = process.communicate()
    watch.stop()
    wall_s = time.perf_counter() - started_s
    index = json.loads(output)
    scan = index["folders"][0]
    seconds = {"hash": (scan["hashed"], scan["hash_s"])}
    for name, stage in (("decode", "look"), ("read", "read"), ("embed", "embed")):
        seconds[name] = (index["stages"][stage]["done"], index["stages"][stage]["seconds"])
    return {
        "files": scan["found"],
        "contents": index["stages"]["look"]["done"],
        "wall_s": round(wall_s, 2),
        "processor_s": round(processor_seconds() - used_s, 2),
        "pictures_per_s": round(scan["found"] / wall_s, 2),
        "stages": {
            name: {
                "pictures": num,
                "seconds": round(s, 3),
                "pictures_per_s": round(num / s, 1) if s else None,
            }
            for name, (num, s) in seconds.items()
        },
        "peak_tree_mib": round(watch.peak_bytes / MIB, 1),
        "peak_by_process_mib": {name: round(peak / MIB, 1) for name, peak in watch.peak_by_name.items()},
        "problems": len(index["problems"]),
    }


def processor_seconds() -> float:
    """Return the processor time of all programs that were run and have ended, with their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class TreeMemory(threading.Thread):
    """Watches the proportional memory of a process and everything below it, ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self._is_over = threading.Event()
        self.peak_bytes = 0
        self.peak_by_name: dict[str, int] = {}

    def run(self) -> None:
        """Sample until stopped."""
        while not self._is_over.wait(0.1):
            total_bytes = 0
            for process in self._processes():
                try:
                    name, used_bytes = role(process.cmdline()), pss_bytes(process)
                except psutil.Error:
                    continue
                total_bytes += used_bytes
                self.peak_by_name[name] = max(self.peak_by_name.get(name, 0), used_bytes)
            self.peak_bytes = max(self.peak_bytes, total_bytes)

    def stop(self) -> None:
        """End the watching."""
        self._is_over.set()
        self.join()

    def _processes(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []


def pss_bytes(process: psutil.Process) -> int:
    """Return memory with shared pages split among their users where the system tells, else all of it."""
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.rss))


def role(command: list[str]) -> str:
    """Name a process of the tree by the module it runs."""
    for part in command:
        if part.startswith("smallsight."):
            return part.rsplit(".", 1)[-1]
    return "index"


def generate(folder: Path, num_pictures: int) -> None:
    """Draw pictures of memes and screenshots in eight sizes with one to twelve lines of text; seeded."""
    folder.mkdir(parents=True)
    chance = random.Random(3)
    for number in range(num_pictures):
        width_px, height_px = chance.choice(SIZES_PX)
        image = background(width_px, height_px, chance)
        num_lines = 12 if height_px > 2000 else chance.choice((0, 1, 2, 2, 2, 3))
        draw = ImageDraw.Draw(image)
        for line in range(num_lines):
            font_px = max(16, int(min(width_px, height_px) * chance.choice((0.045, 0.06, 0.08))))
            text = " ".join(chance.choice(WORDS) for _ in range(chance.randint(2, 5)))
            draw.text(
                (width_px / 2, (line + 0.5) * height_px / num_lines),
                text.upper() if chance.random() < 0.5 else text,
                font=ImageFont.load_default(size=font_px),
                fill="white",
                stroke_width=max(2, font_px // 14),
                stroke_fill="black",
                anchor="mm",
            )
        image.save(folder / f"{number:05}.jpg", quality=85)


def background(width_px: int, height_px: int, chance: random.Random) -> Image.Image:
    """Return blurred blobs of colour."""
    image = Image.new("RGB", (width_px // 4, height_px // 4), colour(chance))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, size = (
            chance.randrange(width_px // 4),
            chance.randrange(height_px // 4),
            chance.randrange(5, 60),
        )
        draw.ellipse((x, y, x + size, y + size), fill=colour(chance))
    return image.filter(ImageFilter.GaussianBlur(1)).resize((width_px, height_px), Image.Resampling.BICUBIC)


def colour(chance: random.Random) -> tuple[int, int, int]:
    """Return any colour."""
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


def report(name: str, result: dict[str, Any]) -> None:
    """Print the figures of one set."""
    print(
        f"{name}: {result['files']} files in {result['wall_s']} s, {result['pictures_per_s']} pictures/s, "
        f"{result['processor_s']} s of the processor"
    )
    for stage, figures in result["stages"].items():
        print(f"  {stage:<8}{figures['pictures_per_s']:>10} pictures/s  ({figures['seconds']} s)")
    processes = ", ".join(f"{role_} {peak}" for role_, peak in result["peak_by_process_mib"].items())
    print(f"  peak memory of the process tree: {result['peak_tree_mib']} MiB ({processes})")


if __name__ == "__main__":
    main()
