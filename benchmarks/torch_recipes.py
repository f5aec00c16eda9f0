"""Each recipe of bitsandbytes on the CPU beside its base and the OpenVINO engine, in one run.

Every engine and precision has a separate process; all are loaded, and then asked by turns, in another order
in each round. Checkpoints are random, in the true shapes: what is measured does not care what they say.

Run: python benchmarks/torch_recipes.py FOLDER [--only NAME ...] [--tokens 20] [--rounds 3] [--write] [--tiny]

FOLDER keeps the checkpoints (5 GB), and ``torch_recipes.jsonl`` every answer as soon as it is measured. With
--write the medians become the table from which the torch engine warns when it loads a recipe. moondream2
takes about 16 GB of memory; ``--only`` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from real_size_checkpoint import architecture_of, make_checkpoint

from smallsight.engine.engine import Engine
from smallsight.engine.loading import load_engine, schemes_of
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.machine.process_memory import process_memory
from smallsight.machine.processor import processor

TABLE = Path(__file__).parents[1] / "src/smallsight/engine/torch/measured_recipes.json"
WAYS: Mapping[str, Sequence[str]] = {
    "SmolVLM-256M-Instruct": ("openvino bf16", "openvino int8", "torch bf16", "torch int8", "torch nf4"),
    "Florence-2-base": ("openvino bf16", "openvino int4", "torch bf16", "torch int8", "torch nf4"),
    "SmolVLM-500M-Instruct": ("openvino bf16", "openvino int8", "torch bf16", "torch int8", "torch nf4"),
    "Florence-2-large": ("openvino bf16", "openvino int4", "torch bf16", "torch int8", "torch nf4"),
    "moondream2": ("openvino bf16", "openvino int8", "torch bf16", "torch int8", "torch nf4"),
}
QUESTIONS = {"florence2": "<DETAILED_CAPTION>"}
SIZE = (384, 384)
MIB = 2**20


class Contender:
    """A process that has loaded one model in one way and answers when asked."""

    def __init__(self, name: str, way: str, directory: Path, given: argparse.Namespace) -> None:
        command = [sys.executable, __file__, str(directory), "--child", name, way]
        command += ["--tokens", str(given.tokens), "--threads", str(given.threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.loaded = self._read()

    def ask(self) -> dict[str, float]:
        """Have it answer, and return what that took."""
        assert self._process.stdin is not None
        self._process.stdin.write("ask\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # the log is between
                found: dict[str, float] = json.loads(line)
                return found
        raise SystemExit("A contender ended; its error is above.")


def answer_when_asked(name: str, way: str, directory: Path, tokens: int, threads: int) -> None:
    """Load, say so, and answer a question about another picture for each line of standard input."""
    engine_name, precision = way.split()
    before = process_memory().private_bytes
    began_s = time.perf_counter()
    family = architecture_of(name).family
    prepared_dir = directory.parent / "prepared"
    prepared_dir.mkdir(exist_ok=True)
    engine = load_engine(
        family,
        directory,
        schemes_of(engine_name)[precision],
        engine=engine_name,
        device="cpu",
        threads=threads,
        prepared_dir=prepared_dir if engine_name == "openvino" else None,  # as a user's weights are stored
    )
    load_s = time.perf_counter() - began_s
    _ask(engine, family, 0, tokens)  # the first answer prepares what others reuse
    grown = process_memory().private_bytes - before
    sizes = {"weights_mib": engine.weights_bytes / MIB, "private_mib": grown / MIB}
    print(json.dumps({"load_s": load_s, **sizes}), flush=True)
    for seed, _ in enumerate(sys.stdin, 1):
        print(json.dumps(_ask(engine, family, seed, tokens)), flush=True)


def _ask(engine: Engine, family: str, seed: int, tokens: int) -> dict[str, float]:
    values = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
    words = QUESTIONS.get(family, "Can you describe this image?")
    message = Message("user", (PicturePart(Image.fromarray(values)), TextPart(words)))
    began_s = time.perf_counter()
    options = SamplingOptions(max_tokens=tokens)
    outcome = engine.start([message], Detail.AUTO, options, ignores_end=True).result()
    seconds = time.perf_counter() - began_s
    rate = (len(outcome.choices) - 1) / outcome.decode_s if outcome.decode_s else 0.0
    return {"answer_s": seconds, "tokens_per_s": rate}


def measure(name: str, given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the medians of one model by way."""
    directory = make_checkpoint(name, given.folder, is_tiny=given.tiny)
    log = given.folder / "torch_recipes.jsonl"
    contenders: dict[str, Contender] = {}
    answers: dict[str, list[dict[str, float]]] = {}
    try:
        for way in given.ways or WAYS[name]:
            contenders[way] = Contender(name, way, directory, given)
            print(f"{name} {way}: loaded in {contenders[way].loaded['load_s']:.1f} s", file=sys.stderr)
        ways = list(contenders)
        for number in range(given.rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                found = contenders[way].ask()
                answers.setdefault(way, []).append(found)
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"model": name, "way": way, **found}) + "\n")
        return {way: _summary(contenders[way].loaded, answers[way]) for way in ways}
    finally:
        for one in contenders.values():
            one.close()


def _summary(loaded: Mapping[str, float], rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    seconds = [one["answer_s"] for one in rounds]
    return {
        "answer_s": round(statistics.median(seconds), 3),
        "least_s": round(min(seconds), 3),
        "most_s": round(max(seconds), 3),
        "tokens_per_s": round(statistics.median(one["tokens_per_s"] for one in rounds), 2),
        "weights_mib": round(loaded["weights_mib"], 1),
        "private_mib": round(loaded["private_mib"], 1),
    }


def described(
    name: str, ways: Mapping[str, Mapping[str, float]], given: argparse.Namespace
) -> dict[str, Any]:
    """Return one entry of the table of the torch engine."""
    return {
        "model": name,
        "family": architecture_of(name).family,
        "device": "cpu",
        "processor": f"{processor()}, {given.threads} threads",
        "measured_on": time.strftime("%Y-%m-%d"),
        "versions": {one: version(one) for one in ("torch", "bitsandbytes")},
        "ways": ways,
    }


def main() -> None:
    """Read the command line, measure, print a table, and write it where --write says so."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--ways", nargs="+", help="such as 'torch nf4'; otherwise all of a model")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="tiny networks, which measure nothing")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        name, way = given.child
        answer_when_asked(name, way, given.folder, given.tokens, given.threads)
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    columns = ("answer_s", "least_s", "most_s", "tokens_per_s", "weights_mib", "private_mib")
    print(f"{'model':>22} {'way':>14} " + " ".join(f"{one:>12}" for one in columns))
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    for name in given.only:
        ways = measure(name, given)
        for way, found in ways.items():
            cells = " ".join(f"{found[one]:12,.2f}" for one in columns)
            print(f"{name:>22} {way:>14} {cells}", flush=True)
        table = [one for one in table if one["model"] != name] + [described(name, ways, given)]
        if given.write and not given.tiny:
            TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
