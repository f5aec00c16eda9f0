"""What `smallsight caption` needs without the model, to a million pictures: time and memory.

All pictures are in the progress file already, as after a run that was killed before it wrote its rows. Their
bytes are made up, which nobody opens. What remains: reading the tar file and the progress file, remembering
which pictures are known, and writing the rows.

Run: python benchmarks/caption_growth.py [--sizes N ...] [--format parquet]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

ENDINGS = ("jsonl", "parquet")


def main() -> None:
    """Measure every size and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--format", choices=ENDINGS, default="parquet")
    options = parser.parse_args()
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as below:
            found = measure(Path(below), size, options.format)
        print(
            f"{size:,} pictures: " + ", ".join(f"{name} {value}" for name, value in found.items()), flush=True
        )


def measure(folder: Path, number: int, ending: str) -> dict[str, Any]:
    """Continue a run of so many pictures in a new process."""
    log = folder / f"captions.{ending}.progress.jsonl"
    out = folder / f"captions.{ending}"
    source = folder / "pictures.tar"
    pack(source, 1)
    run(folder, source, out)  # one picture, for a line of the log to begin with
    out.unlink()
    first = json.loads(log.read_text(encoding="ascii").splitlines()[0])
    pack(source, number)
    with log.open("a", encoding="ascii") as lines:
        for index in range(1, number):
            sha256 = hashlib.sha256(member(index)).hexdigest()
            line = {**first, "path": f"{index:07}", "sha256": sha256}
            lines.write(json.dumps(line) + "\n")
    log_mib = log.stat().st_size // 2**20
    found = run(folder, source, out)
    return {**found, "progress_mib": log_mib, "out_mib": round(out.stat().st_size / 2**20, 1)}


def member(index: int) -> bytes:
    """Return the bytes of a picture: the first is one, the others only differ."""
    if index:
        return f"picture {index}".encode()
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(file, "PNG")
    return file.getvalue()


def pack(path: Path, number: int) -> None:
    """Write a tar file of so many pictures."""
    with tarfile.open(path, "w") as tar:
        for index in range(number):
            data = member(index)
            info = tarfile.TarInfo(f"{index:07}.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def run(folder: Path, source: Path, out: Path) -> dict[str, Any]:
    """Run the command; return seconds, processor time, and peak memory of its largest process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [*(sys.executable, "-m", "smallsight", "caption", str(source), "--out", str(out), "--quiet")],
        env={**os.environ, "SMALLSIGHT_HOME": str(folder / "home")},
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"caption ended with {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": used.ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main()
