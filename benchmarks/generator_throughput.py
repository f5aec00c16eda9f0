"""Compares the generator with describing pictures one by one and loading the model for each of them.

The second is how meme-search's generator works. Both describe different pictures with the same model, prompt
and limit, and both decode the files. What loading costs here is less than with transformers, because weights
are stored ready to use: the ratio is a lower bound of the one to meme-search's. With --transformers N,
transformers loads the model for each of N pictures, in bf16, and generates as many tokens as the limit.

Run: python benchmarks/generator_throughput.py --model Smallsight-tiny --pictures 200 --one-by-one 20
     python benchmarks/generator_throughput.py --model SmolVLM-256M-Instruct --folder FOLDER --max-tokens 40
(FOLDER from benchmarks/real_size_checkpoint.py; random weights, so only the times mean something)
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image, ImageDraw

from smallsight import load
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.families.smolvlm.model import SmolVLMModel
from smallsight.quant.scheme import SCHEMES
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
    parser.add_argument("--transformers", type=int, default=0, help="pictures described by transformers")
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
        one_by_one_s = reload_each(name, [pictures / one for one in names[: options.one_by_one]], options)
        plain_s = None
        if options.transformers:
            plain_s = transformers_each([pictures / one for one in names[: options.transformers]], options)
        together_s, num_loads_s = through_generator(name, pictures, names, options)
    result = {
        "model": options.model,
        "pictures": len(names),
        "max_tokens": options.max_tokens,
        "one_by_one_s_per_picture": round(one_by_one_s, 4),
        "generator_s_per_picture": round(together_s / len(names), 4),
        "first_picture_s": round(num_loads_s, 3),
        "ratio": round(one_by_one_s / (together_s / len(names)), 2),
    }
    if plain_s is not None:
        result["transformers_s_per_picture"] = round(plain_s, 4)
        result["ratio_to_transformers"] = round(plain_s / (together_s / len(names)), 2)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


def draw_pictures(folder: Path, number: int, side_px: int) -> list[str]:
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
        image.save(folder / names[-1])
    return names


def reload_each(name: str, paths: list[Path], options: argparse.Namespace) -> float:
    """Return the seconds for one picture, with the model loaded for each; what is stored once is stored."""
    load(name).close()
    prompt = "Can you describe this image?" if options.model.startswith("SmolVLM") else None
    began_s = time.perf_counter()
    for path in paths:
        with load(name) as model:
            model.describe(path, prompt=prompt, max_tokens=options.max_tokens)
    return (time.perf_counter() - began_s) / len(paths)


def transformers_each(paths: list[Path], options: argparse.Namespace) -> float:
    """Return the seconds for one picture when transformers loads the checkpoint for each."""
    from gpu_plain import PlainModel  # noqa: PLC0415 - torch is only needed here

    opened = SmolVLMModel(options.folder, SCHEMES["bf16"], 0)
    seconds = []
    for path in [paths[0], *paths]:  # the first once more, as imports count there
        began_s = time.perf_counter()
        with Image.open(path) as image:
            shown = PicturePart(image.convert("RGB"))
        message = Message("user", (shown, TextPart("Can you describe this image?")))
        prompt = opened.processor.prepare([message], detail=Detail.AUTO, tools=[])
        PlainModel(options.folder, "smolvlm", "bf16", "cpu").generate(prompt, options.max_tokens)
        seconds.append(time.perf_counter() - began_s)
    return sum(seconds[1:]) / len(paths)


def through_generator(
    name: str, pictures: Path, names: list[str], options: argparse.Namespace
) -> tuple[float, float]:
    """Return the seconds for all pictures, from the first request to the last status, and for the first."""
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
        url = _url_of(process)
        with httpx2.Client(base_url=url, timeout=120, trust_env=False) as http:

            def add(number: int) -> None:
                body: dict[str, Any] = {"image_core_id": number, "image_path": names[number], "model": name}
                http.post("/add_job", json=body | {"attempt_id": 1, "callback_token": "t"}).raise_for_status()

            began_s = time.perf_counter()
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(add, range(len(names))))
                first_s = 0.0
                while app.num_done + len(app.failures) < len(names):
                    time.sleep(0.01)
                    first_s = first_s or (time.perf_counter() - began_s if app.num_done else 0.0)
            took_s = time.perf_counter() - began_s
        if app.failures:
            raise SystemExit(app.failures[0])
        return took_s, first_s
    finally:
        process.terminate()
        process.wait()
        app.shutdown()


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
