"""Runs ``smallsight validate`` on random checkpoints in the true shapes: memory and speed of every variant.

Answers of random weights say nothing; sizes and speeds do not care. One checkpoint at a time is written to a
temporary folder and removed afterwards. The memory of the command with all its processes is sampled from
outside, as proportional set sizes, so that shared pages count once.

Run: python benchmarks/validate_real_sizes.py [NAME ...] [--pictures 3] [--max-tokens 8] [--work FOLDER]

Results go to ``benchmarks/results/validation/random_weights``, where ``docs/write_models_table.py`` finds
them, and the table to ``benchmarks/results/real_sizes.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from real_size_checkpoint import make_checkpoint

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.validation.comparing_results import read_result
from smallsight.validation.memory_explained import explain_memory
from smallsight.validation.result import Memory, ValidationResult

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
EXAMPLES = ROOT / "examples"
EXPECTED: Mapping[str, tuple[float, float]] = {  # reductions of memory in the plan, in percent
    "SmolVLM-256M-Instruct-int8": (49, 49),
    "SmolVLM-500M-Instruct-int8": (72, 72),
    "Florence-2-base-int4": (75, 75),
    "Florence-2-large-int4": (75, 75),
    "moondream2-int8": (50, 60),
}
MIB = 1024**2
ALLOWED_BYTES = 300 * MIB  # beside one model
_SAMPLE_S = 0.2
_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_VERDICT_CODES = range(10, 13)


@dataclass(slots=True)
class TreeMemory:
    """The memory of a process and all below it, sampled; ``at_peak`` has each process's share at the peak."""

    pid: int
    peak_bytes: int = 0
    at_peak: dict[str, int] = field(default_factory=dict)

    def sample(self) -> None:
        """Take one sample."""
        found: dict[str, int] = {}
        try:
            root = psutil.Process(self.pid)
            for one in (root, *root.children(recursive=True)):
                try:
                    text = Path(f"/proc/{one.pid}/smaps_rollup").read_text(encoding="ascii")
                    role = f"{one.pid} {_role(one.cmdline())}"
                except (OSError, psutil.Error):
                    continue
                if (pss := _PSS.search(text)) is not None:
                    found[role] = 1024 * int(pss[1])
        except psutil.Error:
            return
        if (total := sum(found.values())) > self.peak_bytes:
            self.peak_bytes, self.at_peak = total, found


@dataclass(frozen=True, slots=True)
class Line:
    """What one validation says about memory and speed; reductions are percentages of the base."""

    name: str
    base_weights_bytes: int
    weights_bytes: int
    weights_reduction: float
    reduction_from_fp32: float
    base_peak_bytes: int
    peak_bytes: int
    private_reduction: float
    base_tokens_per_s: float | None
    tokens_per_s: float | None
    base_pictures_per_min: float | None
    pictures_per_min: float | None
    expected: tuple[float, float]
    validate_peak_bytes: int
    largest_model_bytes: int
    at_peak: dict[str, int]
    seconds: float
    explanations: tuple[str, ...]

    @property
    def over_one_model_bytes(self) -> int:
        """What the command took beside the larger of the two models, in a process of its own."""
        return self.validate_peak_bytes - self.largest_model_bytes


def validate_variant(name: str, work: Path, pictures: Path, max_tokens: int, rounds: int) -> Line:
    """Write the checkpoint, validate the variant, remove everything, and return what was measured."""
    catalog = load_catalog()
    entry = catalog.find(name)
    base = catalog.base_of(entry)
    folder = work / name
    home, out = folder / "home", RESULTS / "validation" / "random_weights"
    out.mkdir(parents=True, exist_ok=True)
    try:
        checkpoint = make_checkpoint(base.name, folder)
        home.mkdir(parents=True, exist_ok=True)
        RegisteredModels(home / "models.json").add(RegisteredModel(base.name, checkpoint, base.family))
        command = [sys.executable, "-m", "smallsight", "validate", name, "--pictures", str(pictures)]
        command += ["--max-tokens", str(max_tokens), "--rounds", str(rounds), "--out", str(out), "--quiet"]
        began_s = time.monotonic()
        memory = _run_watched(command, home, folder / "stderr")
        seconds = time.monotonic() - began_s
        result = read_result(out / f"{name}.json")
        (out / f"{name}.html").unlink(missing_ok=True)
        return _line(result, memory, seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_watched(command: list[str], home: Path, log: Path) -> TreeMemory:
    """Run the command and sample its memory until it ends; raises SystemExit if it fails."""
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        memory = TreeMemory(process.pid)
        with _sampled(memory):
            code = process.wait()
    if code and code not in _VERDICT_CODES:
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{log.read_text()}")
    return memory


@contextmanager
def _sampled(memory: TreeMemory) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_S):
            memory.sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _line(result: ValidationResult, memory: TreeMemory, seconds: float) -> Line:
    name = result.variant.system.name
    before, after = _measured(result.base.memory), _measured(result.variant.memory)
    reduction = _reduction(before.weights_bytes, after.weights_bytes)
    num_parameters = sum(one.num_parameters for one in before.modules)
    from_fp32 = _reduction(4 * num_parameters, after.weights_bytes)
    expected = EXPECTED.get(name, (0.0, 0.0))
    return Line(
        name=name,
        base_weights_bytes=before.weights_bytes,
        weights_bytes=after.weights_bytes,
        weights_reduction=reduction,
        reduction_from_fp32=from_fp32,
        base_peak_bytes=before.peak_bytes,
        peak_bytes=after.peak_bytes,
        private_reduction=_reduction(before.private_peak_bytes, after.private_peak_bytes),
        **_speeds(result),
        expected=expected,
        validate_peak_bytes=memory.peak_bytes,
        largest_model_bytes=max(before.peak_bytes, after.peak_bytes, before.loading_peak_bytes),
        at_peak=memory.at_peak,
        seconds=seconds,
        explanations=(
            _against_plan(expected, reduction, from_fp32),
            _of_process(before, after),
            *explain_memory(result.base, result.variant),
        ),
    )


def _speeds(result: ValidationResult) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for prefix, side in (("base_", result.base), ("", result.variant)):
        speed = side.speed
        tokens = None if speed is None or speed.tokens_per_s is None else speed.tokens_per_s.median
        found[f"{prefix}tokens_per_s"] = tokens
        found[f"{prefix}pictures_per_min"] = None if speed is None else speed.pictures_per_min.median
    return found


def _against_plan(expected: tuple[float, float], reduction: float, from_fp32: float) -> str:
    low, high = expected
    plan = f"{low:.0f} %" if low == high else f"{low:.0f} to {high:.0f} %"
    if low - 2 <= reduction <= high + 2:
        return f"The plan expects {plan}; the weights shrink by {reduction:.1f} %, as expected."
    meant = (
        f"of fp32 they are {from_fp32:.1f} % less, which the plan probably counts from"
        if abs(from_fp32 - (low + high) / 2) < abs(reduction - (low + high) / 2)
        else f"of fp32 they would be {from_fp32:.1f} % less"
    )
    return f"The plan expects {plan}; of the base in 16 bits the weights are {reduction:.1f} % less, {meant}."


def _of_process(before: Memory, after: Memory) -> str:
    """Return how much of both processes is not stored weights, which a plan may leave out."""
    beside = " and ".join(f"{(one.peak_bytes - one.weights_bytes) / MIB:.0f}" for one in (before, after))
    return (
        f"The peak of the process falls by {_reduction(before.peak_bytes, after.peak_bytes):.1f} %. Beside "
        f"stored weights, base and variant take {beside} MiB: program, activations, the KV cache, and the "
        "runtime's own copies of weights (not told apart here; 16 bits become fp32 without bf16 arithmetic)."
    )


def _measured(memory: Memory | None) -> Memory:
    if memory is None:
        raise SystemExit("The memory was not measured.")
    return memory


def _reduction(before: float, after: float) -> float:
    return 100 * (before - after) / before


def _role(command: list[str]) -> str:
    """Return what a process is, from its command line."""
    modules = [part.rsplit(".", 1)[-1] for part in command if part.startswith("smallsight")]
    return modules[0] if modules else (Path(command[0]).name if command else "?")


def _print(line: Line) -> None:
    low, high = line.expected
    print(f"\n{line.name}, {line.seconds:.0f} s")
    for title, before, after in (
        ("weights, MiB", line.base_weights_bytes, line.weights_bytes),
        ("process peak, MiB", line.base_peak_bytes, line.peak_bytes),
    ):
        print(f"  {title}: {before / MIB:.0f} -> {after / MIB:.0f} ({-_reduction(before, after):+.1f} %)")
    print(
        f"  expected by the plan: -{low:.0f} to -{high:.0f} %; private peak: {-line.private_reduction:+.1f} %"
    )
    for title, slow, fast in (
        ("tokens/s", line.base_tokens_per_s, line.tokens_per_s),
        ("pictures/min", line.base_pictures_per_min, line.pictures_per_min),
    ):
        if slow is not None and fast is not None:
            print(f"  {title}: {slow:.2f} -> {fast:.2f}")
    over_bytes = line.over_one_model_bytes
    kept = "within" if over_bytes <= ALLOWED_BYTES else "more than"
    print(f"  peak of the whole command, MiB: {line.validate_peak_bytes / MIB:.0f}")
    print(f"  over one model: {over_bytes / MIB:+.0f}, {kept} the {ALLOWED_BYTES / MIB:.0f} allowed")
    print("  at the peak: " + ", ".join(f"{role} {one / MIB:.0f}" for role, one in line.at_peak.items()))
    for sentence in line.explanations:
        print(f"  - {sentence}")


def _copy_pictures(folder: Path, num: int) -> Path:
    folder.mkdir()
    found = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in (".jpg", ".png", ".webp"))
    for path in found[:num]:
        shutil.copyfile(path, folder / path.name)
    return folder


def main() -> None:
    """Read the command line, validate, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(EXPECTED))
    parser.add_argument("--pictures", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder for the checkpoints, 8 GB free for moondream2")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        pictures = _copy_pictures(work / "pictures", options.pictures)
        for name in options.names:
            line = validate_variant(name, work, pictures, options.max_tokens, options.rounds)
            _print(line)
            _keep(line)


def _keep(line: Line) -> None:
    """Put the line into the table, replacing an older one of the same variant."""
    path = RESULTS / "real_sizes.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    rows = [*(row for row in known if row["name"] != line.name), asdict(line)]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
