"""Reads pictures, one path a line on standard input, and answers with the lines and the seconds as JSON.

Run by benchmarks/reading.py: python reading_contender.py smallsight|rapidocr|tesseract
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

Read = Callable[[Path], list[str]]
NOT_INSTALLED = 3


@contextlib.contextmanager
def smallsight() -> Iterator[Read]:
    """Yield the library's own way: the decoding child, the reading child, and no misread icons."""
    from smallsight.library.misreadings import without_misreadings
    from smallsight.media.decoder import PictureDecoder
    from smallsight.media.reading_size import is_paged
    from smallsight.reading.pages import read_pages
    from smallsight.reading.text_reader import TextReader
    from smallsight.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        with PictureDecoder(settings.limits) as decoder, TextReader(settings) as reader:

            def read(path: Path) -> list[str]:
                side_px = settings.index.ocr_max_side_px
                picture = decoder.decode(path.read_bytes(), max_side_px=side_px, wants_pages=True)
                lines = read_pages(
                    picture.pages_HWC,
                    reader.read,
                    are_moments=not is_paged(picture.format),
                )
                return [line.text for line in without_misreadings(lines)]

            yield read


@contextlib.contextmanager
def rapidocr() -> Iterator[Read]:
    """Yield RapidOCR with its own settings, on ONNX Runtime where that is installed, else on OpenVINO."""
    from importlib.util import find_spec

    from rapidocr import EngineType, RapidOCR

    params: dict[str, object] = {"Global.log_level": "critical"}
    if find_spec("onnxruntime") is None:
        params |= {f"{part}.engine_type": EngineType.OPENVINO for part in ("Det", "Cls", "Rec")}
    ocr = RapidOCR(params=params)

    def read(path: Path) -> list[str]:
        image = Image.open(path).convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image)
        found = ocr(np.ascontiguousarray(np.asarray(ground.convert("RGB"))[:, :, ::-1]))
        return list(getattr(found, "txts", None) or ())

    yield read


@contextlib.contextmanager
def tesseract() -> Iterator[Read]:
    """Yield Tesseract with its own settings, a process for each picture, as its users call it."""
    subprocess.run(["tesseract", "--version"], check=True, capture_output=True)

    def read(path: Path) -> list[str]:
        done = subprocess.run(["tesseract", str(path), "-"], check=False, capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if line.strip()]

    yield read


def cpu_s() -> float:
    """Return the processor seconds of this process and of its children, running or ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system
    return total


def main() -> int:
    """Answer until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    chosen = {"smallsight": smallsight, "rapidocr": rapidocr, "tesseract": tesseract}[sys.argv[1]]
    try:
        with chosen() as read:
            for path in sys.stdin:
                started_cpu_s, started_s = cpu_s(), time.perf_counter()
                lines = read(Path(path.rstrip("\n")))
                seconds, used_s = time.perf_counter() - started_s, cpu_s() - started_cpu_s
                print(
                    json.dumps({"lines": lines, "wall_s": seconds, "cpu_s": used_s}), file=replies, flush=True
                )
    except (ImportError, FileNotFoundError):
        return NOT_INSTALLED
    return 0


if __name__ == "__main__":
    sys.exit(main())
