"""Measures one model on the torch engine and with plain transformers; appends one JSON line per row.

Run by benchmarks/gpu.py: python gpu_rows.py MODEL FOLDER ROWS --until SECONDS [--device cuda] [--dry-run]

Rows that the file already has are not measured again, except those that failed. A row is not begun when the
one before it lasted longer than half of the time that is left.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "contenders"))

import numpy as np
import torch
from gpu import PRECISIONS, Row, read_done
from gpu_limits import Limits, measure_limits, step_cost
from gpu_plain import PlainModel
from PIL import Image
from process_memory import memory_mib
from real_size_checkpoint import architecture_of

from smallsight.engine.engine import Engine, EngineOptions
from smallsight.engine.florence2_engine import Florence2Engine
from smallsight.engine.inline_engine import InlineEngine
from smallsight.engine.loading import TORCH, load_engine
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import SmallsightError
from smallsight.families.messages import (
    Detail,
    Message,
    PicturePart,
    PreparedPrompt,
    TextPart,
    last_question,
)
from smallsight.quant.scheme import TORCH_SCHEMES

NO_TIME = 3  # the exit code when a row was left for the next run
OURS, COMPILED, PLAIN = "smallsight", "smallsight compiled", "transformers"
SIZE = (800, 600)
QUESTIONS = {"florence2": "<DETAILED_CAPTION>"}
PLAIN_FAMILIES = ("florence2", "smolvlm")  # transformers has no class for moondream2
DRY_OPTIONS = EngineOptions(max_sequences=2, cache_bytes=4 << 20)
FAILURES = (SmallsightError, RuntimeError, ValueError, TypeError, AttributeError, ImportError, OSError)


@dataclass
class Job:
    """One model to measure, and what was measured before."""

    name: str
    folder: Path
    rows: Path
    until_s: float  # of time.time()
    device: str
    is_dry: bool
    last_row_s: float = 0.0
    seeds: int = 0
    is_complete: bool = True
    done: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def batches(self) -> tuple[int, ...]:
        """How many pictures are asked about at once."""
        return (1, 2) if self.is_dry else (1, 8, 64)

    @property
    def num_tokens(self) -> int:
        """Tokens of each answer."""
        return 4 if self.is_dry else 64

    def measure(self, precision: str, way: str, batch: int, row: Callable[[], Row]) -> None:
        """Append a row, unless it was measured before or no time is left for it."""
        if (precision, way, batch) in self.done:
            return
        if time.time() + 2 * self.last_row_s > self.until_s:
            self.is_complete = False
            return
        began_s = time.time()
        found: Row = {"model": self.name, "precision": precision, "way": way, "batch": batch}
        try:
            found |= row()
        except FAILURES as error:  # a row that fails must not end the others
            found["error"] = f"{type(error).__name__}: {error}"
        self.last_row_s = time.time() - began_s
        with self.rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")

    def message(self) -> list[Message]:
        """Return a question about noise that no question before was about."""
        self.seeds += 1
        values = np.random.default_rng(self.seeds).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        words = QUESTIONS.get(family_of(self.name), "Can you describe this image?")
        return [Message("user", (PicturePart(Image.fromarray(values)), TextPart(words)))]


def family_of(name: str) -> str:
    """Return the family of a catalogue name."""
    return architecture_of(name).family


class Loading:
    """Loads our engine when a row first needs it, and unloads it before another library is measured."""

    def __init__(self, job: Job, precision: str, *, is_compiled: bool = False) -> None:
        self._job, self._precision, self._is_compiled = job, precision, is_compiled
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """Return the loaded engine."""
        if self._engine is None:
            scheme, job = TORCH_SCHEMES[self._precision], self._job
            family = family_of(job.name)
            self._engine = load_engine(
                family,
                job.folder,
                scheme,
                engine=TORCH,
                device=job.device,
                options=DRY_OPTIONS if job.is_dry else None,
                compile=self._is_compiled,
            )
        return self._engine

    def close(self) -> None:
        """Free its memory."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None
        gc.collect()
        reset_peak(self._job.device)


def measure_precision(job: Job, precision: str, limits: Limits) -> None:
    """Measure our engine at every batch size, and plain transformers with the same prompt."""
    loading = Loading(job, precision)

    def first() -> Row:
        return load_and_ask(job, loading, limits)

    def several(batch: int) -> Row:
        engine = loading.engine()
        return ask(job, engine, batch) | allowed(job, engine, limits, batch)

    def others() -> Row:
        prompt = prompt_of(job, loading.engine())
        loading.close()
        return plain(job, precision, prompt)

    for batch in job.batches:
        job.measure(precision, OURS, batch, first if batch == 1 else partial(several, batch))
    if family_of(job.name) in PLAIN_FAMILIES:
        job.measure(precision, PLAIN, 1, others)
    loading.close()


def measure_compiled(job: Job, limits: Limits) -> None:
    """Measure compiled decoding in bf16, alone and in the largest batch; compiling counts as loading."""
    loading = Loading(job, "bf16", is_compiled=True)
    most = job.batches[-1]

    def together() -> Row:
        engine = loading.engine()
        return ask(job, engine, most) | allowed(job, engine, limits, most)

    job.measure("bf16", COMPILED, 1, lambda: load_and_ask(job, loading, limits))
    job.measure("bf16", COMPILED, most, together)
    loading.close()


def load_and_ask(job: Job, loading: Loading, limits: Limits) -> Row:
    """Load our engine and measure it alone."""
    reset_peak(job.device)
    began_s = time.perf_counter()
    engine = loading.engine()
    row = {"weights_mib": engine.weights_bytes / 2**20, "load_s": time.perf_counter() - began_s}
    row["load_peak_mib"] = peak_mib(job.device)
    ask(job, engine, 1)  # the first answer is slower
    return row | ask(job, engine, 1) | allowed(job, engine, limits, 1)


def ask(job: Job, engine: Engine, batch: int) -> Row:
    """Ask about this many pictures at once; alone, the middle of three answers."""
    options = SamplingOptions(max_tokens=job.num_tokens)
    reset_peak(job.device)
    rounds = []
    for _ in range(3 if batch == 1 else 1):
        messages = [job.message() for _ in range(batch)]
        began_s = time.perf_counter()
        with ThreadPoolExecutor() as pool:  # which cut the pictures into tiles, as describe_many does
            start = partial(engine.start, detail=Detail.AUTO, options=options, ignores_end=True)
            outcomes = [one.result() for one in pool.map(start, messages)]
        rounds.append((time.perf_counter() - began_s, outcomes))
    seconds, outcomes = sorted(rounds, key=lambda one: one[0])[len(rounds) // 2]
    decoded = max(len(one.choices) for one in outcomes) - 1
    return {
        "total_s": seconds,
        "first_token_s": statistics.median(one.first_token_s for one in outcomes),
        "prompt_tokens": outcomes[0].prompt_tokens,
        "tokens_per_s": batch * decoded / max(one.decode_s for one in outcomes),
        "pictures_per_min": 60 * batch / seconds,
        "peak_mib": peak_mib(job.device),
    }


def allowed(job: Job, engine: Engine, limits: Limits, batch: int) -> Row:
    """Return what the two limits allow."""
    architecture = architecture_of(job.name, is_tiny=job.is_dry)
    cost = step_cost(engine, architecture.family, dict(architecture.sizes))
    context = engine.count_tokens(job.message(), Detail.AUTO) + job.num_tokens / 2
    return cost.tokens_per_s(limits, batch, context)


def prompt_of(job: Job, engine: Engine) -> PreparedPrompt:
    """Return the prompt of a question, as the network gets it."""
    message = job.message()
    if isinstance(engine, Florence2Engine):
        picture, words = last_question(message, job.name)
        return engine.processor.prepare(words, picture.image).prepared
    if isinstance(engine, InlineEngine):
        return engine.processor.prepare(message, detail=Detail.AUTO, tools=[])
    raise TypeError(f"No plain prompt for {job.name}.")


def plain(job: Job, precision: str, prompt: PreparedPrompt) -> Row:
    """Measure plain transformers: the middle of three answers, after a first one."""
    reset_peak(job.device)
    model = PlainModel(job.folder, family_of(job.name), precision, job.device)

    def seconds(num_tokens: int) -> float:
        began_s = time.perf_counter()
        model.generate(prompt, num_tokens)
        return time.perf_counter() - began_s

    seconds(job.num_tokens)
    total_s = sorted(seconds(job.num_tokens) for _ in range(3))[1]
    first_s = min(seconds(1) for _ in range(2))
    speed = {"tokens_per_s": (job.num_tokens - 1) / (total_s - first_s)} if total_s > first_s else {}
    return {
        "total_s": total_s,
        "first_token_s": first_s,
        "prompt_tokens": len(prompt.token_ids),
        **speed,
        "pictures_per_min": 60 / total_s,
        "peak_mib": peak_mib(job.device),
    }


def reset_peak(device: str) -> None:
    """Begin to measure the peak of the GPU's memory; that of a process cannot be reset."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_mib(device: str) -> float:
    """Return the most memory that was allocated on the GPU, or without one the process's peak."""
    if device.startswith("cuda"):
        return float(torch.cuda.max_memory_allocated()) / 2**20
    return memory_mib()["peak_mib"]


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--until", type=float, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--compile-only", action="store_true")
    given = parser.parse_args()
    job = Job(given.name, given.folder, given.rows, given.until, given.device, given.dry_run)
    if given.compile_only:
        Loading(job, "bf16", is_compiled=True).engine().close()
        return
    job.done = read_done(given.rows, given.name)
    limits = measure_limits(given.device, is_dry=given.dry_run)
    described: Mapping[str, float] = vars(limits)
    with given.rows.open("a", encoding="utf-8") as file:
        limit = {"model": given.name, "precision": "", "way": "limits", "batch": 0, **described}
        file.write(json.dumps(limit) + "\n")
    for precision in given.precisions:
        measure_precision(job, precision, limits)
    if "bf16" in given.precisions:
        measure_compiled(job, limits)
    sys.exit(0 if job.is_complete else NO_TIME)


if __name__ == "__main__":
    main()
