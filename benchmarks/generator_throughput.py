"""Compares the generator with describing pictures one by one and loading the model for each of them.

The second is how meme-search's generator works. Both describe different pictures with the same model, prompt
and limit, and both decode the files. What our loading costs is less than with transformers, because weights
are stored ready to use: the first ratio is a lower bound. With --original FOLDER, meme-search's own generator
describes N pictures: its program, its callbacks, and transformers, which it loads a model with for each job.
It encodes every picture as 17 tiles; ours as many as the picture fills, and 17 too with --side 2048.

Run: python benchmarks/generator_throughput.py --model Smallsight-tiny --pictures 200 --one-by-one 20
     python benchmarks/generator_throughput.py --model SmolVLM-256M-Instruct --folder FOLDER --max-tokens 250
         --original CHECKOUT/meme_search/image_to_text_generator/app --original-python VENV/bin/python
(FOLDER from benchmarks/real_size_checkpoint.py; random weights, so only the times mean something. VENV has
what the original requires; its descriptions have at most 250 tokens, which random weights use up.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
from original_generator import OriginalGenerator
from PIL import Image, ImageDraw

from smallsight import load
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.settings import load_settings

_DONE = 3


class Application(ThreadingHTTPServer):
    """Receives the callbacks and counts the pictures that are done."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.num_done = 0
        self.failures: list[str] = []


class _Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Application

    def do_POST(self) -> None:
        data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
        self.server.num_done += data.get("status") == _DONE
        if "error_message" in data:
            self.server.failures.append(data["error_message"])
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main() -> None:
    """Measure both ways and print their times and the ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="Smallsight-tiny")
    parser.add_argument("--folder", type=Path, help="checkpoint of the model, if it is not in the package")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--one-by-one", type=int, default=20, help="pictures described with a reload each")
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--original", type=Path, help="folder of meme-search's generator with its app.py")
    parser.add_argument("--original-python", type=Path, default=Path(sys.executable))
    parser.add_argument("--original-pictures", type=int, default=3)
    parser.add_argument("--side", type=int, default=384, help="of the pictures, in pixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as below:
        home, pictures = Path(below, "home"), Path(below, "pictures")
        home.mkdir()
        names = draw_pictures(pictures, options.pictures, options.side)
        os.environ["SMALLSIGHT_HOME"] = str(home)
        name = options.model
        if options.folder is not None:
            name = "measured"
            models = RegisteredModels(load_settings().models_path)
            models.add(RegisteredModel(name, options.folder.absolute(), "smolvlm"))
        together = through_generator(name, pictures, names, options)
        show("generator", together)
        one_by_one = reload_each(name, [pictures / one for one in names[: options.one_by_one]], options)
        show("one by one", one_by_one)
        if options.original is not None:
            original = through_original(pictures, names[: options.original_pictures], options)
            show("original", original)
    result: dict[str, object] = {
        "model": options.model,
        "pictures": len(names),
        "max_tokens": options.max_tokens,
        "first_picture_s": round(together.first_s, 3),
        "ratio": together.ratio_to(one_by_one),
    }
    if options.original is not None:
        result["ratio_to_original"] = together.ratio_to(original)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


@dataclass(frozen=True)
class Taken:
    """The seconds that pictures took, by the clock and of processors; the latter count on busy machines."""

    num_pictures: int
    clock_s: float
    processor_s: float
    first_s: float = 0.0

    def per_picture(self) -> dict[str, float]:
        """Return both for one picture."""
        return {
            "clock_s": round(self.clock_s / self.num_pictures, 4),
            "processor_s": round(self.processor_s / self.num_pictures, 4),
        }

    def ratio_to(self, slower: Taken) -> dict[str, float]:
        """Return how often as long another way takes for a picture."""
        own, other = self.per_picture(), slower.per_picture()
        return {kind: round(other[kind] / own[kind], 2) for kind in own}


def show(title: str, taken: Taken) -> None:
    """Print what one way took, as soon as it is known."""
    sys.stdout.write(f"{title}: {json.dumps(taken.per_picture())}\n")
    sys.stdout.flush()


def processor_s(pid: int) -> float:
    """Return the processor time of a process and its children, also of those that have ended."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    ended = process.cpu_times()
    return float(sum(one.user + one.system for one in times) + ended.children_user + ended.children_system)


def draw_pictures(folder: Path, number: int, side_px: int, *, compress_level: int = 6) -> list[str]:
    """Draw different pictures, so that no cache answers; return their names."""
    folder.mkdir()
    names = []
    for seed in range(number):
        chance = np.random.default_rng(seed)
        image = Image.new("RGB", (side_px, side_px), tuple(chance.integers(0, 256, 3).tolist()))
        pen = ImageDraw.Draw(image)
        for _ in range(5):
            left, top, right, bottom = sorted(chance.integers(0, side_px, 2)) + sorted(
                chance.integers(0, side_px, 2)
            )
            pen.rectangle(
                (left, min(top, right), max(left, top), max(right, bottom)),
                fill=tuple(chance.integers(0, 256, 3).tolist()),
            )
        names.append(f"{seed:05}.png")
        image.save(folder / names[-1], compress_level=compress_level)
    return names


def reload_each(name: str, paths: list[Path], options: argparse.Namespace) -> Taken:
    """Describe pictures with the model loaded for each; what is stored once is stored before."""
    load(name).close()
    prompt = "Can you describe this image?" if options.model.startswith("SmolVLM") else None
    began_s, began_processor_s = time.perf_counter(), processor_s(os.getpid())
    for path in paths:
        with load(name) as model:
            model.describe(path, prompt=prompt, max_tokens=options.max_tokens)
    return Taken(len(paths), time.perf_counter() - began_s, processor_s(os.getpid()) - began_processor_s)


def through_original(pictures: Path, names: list[str], options: argparse.Namespace) -> Taken:
    """Describe pictures with meme-search's own generator, from when it listens."""
    app = Application()
    threading.Thread(target=app.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{app.server_port}/image_cores/"
    with OriginalGenerator(
        options.original, options.original_python, options.model, options.folder, address
    ) as (url, pid):
        paths = [str(pictures / one) for one in names]
        taken = _until_all_are_described(app, url, pid, paths, options.model, threads=1)
    app.shutdown()
    return taken


def through_generator(name: str, pictures: Path, names: list[str], options: argparse.Namespace) -> Taken:
    """Describe pictures with our generator, from the first request to the last status, loading included."""
    app = Application()
    threading.Thread(target=app.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "GEN_URL": f"http://127.0.0.1:{app.server_port}",
        "SMALLSIGHT_GENERATOR__MAX_TOKENS": str(options.max_tokens),
    }
    command = [sys.executable, "-m", "smallsight", "generator", "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "--pictures", str(pictures)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        return _until_all_are_described(app, _url_of(process), process.pid, names, name, threads=8)
    finally:
        process.terminate()
        process.wait()
        app.shutdown()


def _until_all_are_described(
    app: Application, url: str, pid: int, paths: list[str], model: str, *, threads: int
) -> Taken:
    """Add a job for each picture; return what a process took until the last is done."""
    with httpx2.Client(base_url=url, timeout=600, trust_env=False) as http:

        def add(number: int) -> None:
            body: dict[str, Any] = {"image_core_id": number, "image_path": paths[number], "model": model}
            http.post("/add_job", json=body | {"attempt_id": 1, "callback_token": "t"}).raise_for_status()

        began_s, began_processor_s = time.perf_counter(), processor_s(pid)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(add, range(len(paths))))
        first_s = 0.0
        while app.num_done + len(app.failures) < len(paths):
            time.sleep(0.01)
            first_s = first_s or (time.perf_counter() - began_s if app.num_done else 0.0)
        took_s, used_s = time.perf_counter() - began_s, processor_s(pid) - began_processor_s
    if app.failures:
        raise SystemExit(app.failures[0])
    return Taken(len(paths), took_s, used_s, first_s)


def _url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            break
    return str(json.loads("".join(lines))["url"])


if __name__ == "__main__":
    main()
