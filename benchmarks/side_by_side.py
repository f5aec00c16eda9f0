"""Smallsight against other ways to run SmolVLM, Florence-2 or moondream2 on a CPU.

The same random checkpoint, in turns, in one run.

Each contender is a process of its own with two threads. `make peers` installs those that are no dependency of
ours; where one is not installed, its row says so. Ceilings of the machine are measured in the same run, and
vision, prompts and decoding are also given as fractions of them.

Run: python benchmarks/side_by_side.py [--model NAME] [--rounds N] [--json FILE] [--svg FILE] [--only N ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import platformdirs
from bar_chart import bar_chart
from openvino import opset15 as ops
from real_size_checkpoint import make_checkpoint

from smallsight.graph.linear import linear
from smallsight.quant.scheme import SCHEMES, Module

CONTENDERS = Path(__file__).parent / "contenders"
PEERS = Path(__file__).parent.parent / ".peers"
OURS = ("fp32", "bf16", "int8", "int4")
WITH_KERNELS = (*OURS, "int8+kernels", "int4+kernels")  # text computed by smallsight-kernels
TORCH = ("bf16", "bnb-int8", "bnb-nf4")
LLAMA_CPP = ("Q8_0", "Q4_0")
OPTIMUM = ("int8", "int4")
ROWS, IN, OUT = 1024, 768, 3072
COLUMNS = (
    "load_s",
    "end_to_end_s",
    "vision_s",
    "prefill_tokens_per_s",
    "first_token_s",
    "tokens_per_s_1",
    "tokens_per_s_greedy",
    "tokens_per_s_8",
    "auto_800x600_s",
    "second_question_first_token_s",
    "detect_s",
    "one_by_one_per_min",
    "many_per_min",
    "weights_mib",
    "peak_mib",
    "many_peak_mib",
    "first_detect_s",
    "detect_peak_mib",
    "vision_of_ceiling",
    "prefill_of_ceiling",
    "decode_of_ceiling",
)


def commands(directory: Path, folder: Path) -> dict[str, list[str]]:
    """Return what to run for each contender."""

    def script(python: str | Path, name: str, *arguments: object) -> list[str]:
        return [str(python), str(CONTENDERS / f"{name}_contender.py"), str(directory), *map(str, arguments)]

    if _family(directory) == "florence2":
        florence2 = {
            f"smallsight {one}": script(sys.executable, "florence2", one, folder / "graphs")
            for one in WITH_KERNELS
        }
        peers = [f"transformers {one}" for one in ("bf16", "fp32")]
        return florence2 | {
            name: script(sys.executable, "florence2_transformers", name.split()[1]) for name in peers
        }
    if _family(directory) == "moondream1":
        moondream2 = {
            f"smallsight {one}": script(sys.executable, "moondream2", one, folder / "graphs")
            for one in WITH_KERNELS
        }
        return moondream2 | {"torch bf16": script(sys.executable, "moondream2_torch", "bf16")}
    ours = {
        f"smallsight {one}": script(sys.executable, "smallsight", one, folder / "graphs")
        for one in WITH_KERNELS
    }
    torch = {f"transformers {one}": script(sys.executable, "transformers", one) for one in TORCH}
    python = PEERS / "llama.cpp" / "bin" / "python"
    llama_cpp = {f"llama.cpp {one}": script(python, "llama_cpp", one, folder / "gguf") for one in LLAMA_CPP}
    python = PEERS / "optimum-intel" / "bin" / "python"
    optimum = {f"optimum-intel {one}": script(python, "optimum", one, folder / "optimum") for one in OPTIMUM}
    return ours | torch | llama_cpp | optimum


def _family(directory: Path) -> str:
    described = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    return str(described["model_type"])


def run(command: list[str]) -> dict[str, float] | str:
    """Run one contender and return its figures, or the last line of why it has none."""
    if not Path(command[0]).exists():
        return "not installed (make peers)"
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "TRANSFORMERS_VERBOSITY": "error"}
    environment["PYTHONPATH"] = str(PEERS / "bitsandbytes") if command[-1].startswith("bnb") else ""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=900, check=False
        )
    except subprocess.TimeoutExpired:
        return "took more than 15 minutes"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no reason given"])[-1][:160]
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def ceilings() -> dict[str, float]:
    """Measure matrix products as networks have them, in GFLOP/s, and reading memory, in GB/s."""
    random = np.random.default_rng(0)
    weight = random.standard_normal((OUT, IN), np.float32)
    hidden = random.standard_normal((ROWS, IN), np.float32)
    found = {}
    for name in ("fp32", "bf16", "int8"):
        scheme = SCHEMES[name]
        stored = scheme.store(weight, Module.TEXT)
        parameter = ops.parameter([ROWS, IN], np.float32)
        model = ov.Model([ops.result(linear(parameter, stored))], [parameter], "product")
        options = {
            "INFERENCE_NUM_THREADS": 2,
            "INFERENCE_PRECISION_HINT": scheme.arithmetic,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 64,
        }
        request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
        best_s = min(_timed(lambda r=request: r.infer([hidden])) for _ in range(20))
        found[f"product_{name}_gflops"] = 2 * ROWS * IN * OUT / best_s / 1e9
    halves = [np.ones(1 << 27, np.uint8).view(np.uint64) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        best_s = min(_timed(lambda: list(pool.map(np.sum, halves))) for _ in range(10))
    found["read_gb_per_s"] = 2 * halves[0].nbytes / best_s / 1e9
    return found


def operations(directory: Path) -> dict[str, float]:
    """Count multiply-adds, twice, of a tile, a token of a prompt, and weights that a decoded token reads."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    vision, text = config["vision_config"], config["text_config"]
    hidden, patches = vision["hidden_size"], (vision["image_size"] // vision["patch_size"]) ** 2
    layer = 2 * patches * hidden * (4 * hidden + 2 * vision["intermediate_size"]) + 4 * patches**2 * hidden
    ends = 2 * patches * hidden * (3 * vision["patch_size"] ** 2 + text["hidden_size"])
    heads = 2 * (text["num_attention_heads"] + text["num_key_value_heads"]) * text["head_dim"]
    block = text["hidden_size"] * (heads + 3 * text["intermediate_size"]) * text["num_hidden_layers"]
    return {
        "tile": layer * vision["num_hidden_layers"] + ends,
        "prompt_token": 2 * block,
        "decoder_weights": block + text["hidden_size"] * text["vocab_size"],
    }


def add_fractions(
    name: str, found: dict[str, float], machine: dict[str, float], work: dict[str, float]
) -> None:
    """Put beside the figures how much of the machine's ceiling for their kind of number they reach."""
    precision = name.split()[1]
    kind = precision if precision in ("fp32", "bf16") else "int8"
    product = 1e9 * machine[f"product_{kind}_gflops"]
    weight_bytes = {"fp32": 4, "bf16": 2, "int4": 0.53, "Q4_0": 0.56, "bnb-nf4": 0.53}.get(precision, 1.05)
    if "vision_s" in found:
        found["vision_of_ceiling"] = 17 * work["tile"] / found["vision_s"] / product
    if "prefill_tokens_per_s" in found:
        found["prefill_of_ceiling"] = work["prompt_token"] * found["prefill_tokens_per_s"] / product
    read = work["decoder_weights"] * weight_bytes * found["tokens_per_s_1"]
    found["decode_of_ceiling"] = read / (1e9 * machine["read_gb_per_s"])


def _timed(action: Any) -> float:  # noqa: ANN401
    started_s = time.perf_counter()
    action()
    return time.perf_counter() - started_s


def summarise(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return median, least and most of each figure."""
    return {
        key: {
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
        }
        for key in rounds[0]
        if (values := [one[key] for one in rounds])
    }


def print_table(results: dict[str, Any], reference: str) -> None:
    """Print medians, and how many times faster than the reference each is from picture to last token."""
    print("\t".join(("contender", "times faster", *COLUMNS)))
    base = results.get(reference)
    for name, found in results.items():
        if isinstance(found, str):
            print(f"{name}\tdid not run: {found}")
            continue
        ratio = float("nan")
        if isinstance(base, dict) and "end_to_end_s" in found:
            ratio = base["end_to_end_s"]["median"] / found["end_to_end_s"]["median"]
        cells = [f"{found[key]['median']:.2f}" if key in found else "-" for key in COLUMNS]
        print("\t".join((name, f"{ratio:.2f}", *cells)))


def main() -> None:
    """Read the command line, run the rounds, print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="SmolVLM-256M-Instruct")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(platformdirs.user_cache_dir("smallsight", appauthor=False)) / "benchmarks",
        help="where checkpoints are made and kept",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="contenders to run, by name")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path, help="draw seconds from picture to last token")
    options = parser.parse_args()
    directory = make_checkpoint(options.model, options.folder)
    chosen = commands(directory, options.folder)
    if options.only:
        chosen = {name: chosen[name] for name in options.only}
    machine = ceilings()
    work = operations(directory) if _family(directory) == "idefics3" else None
    print(json.dumps({key: round(value, 1) for key, value in machine.items()}))
    gathered: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    failed: dict[str, str] = {}
    for number in range(options.rounds):
        for name, command in chosen.items():
            if name in failed:
                continue
            found = run(command)
            if isinstance(found, str):
                failed[name] = found
            else:
                if work is not None:
                    add_fractions(name, found, machine, work)
                gathered[name].append(found)
            print(f"round {number + 1}: {name}", file=sys.stderr)
    results = {name: failed.get(name) or summarise(gathered[name]) for name in chosen}
    print_table(results, "torch bf16" if "torch bf16" in chosen else "transformers bf16")
    if options.json:
        content = {"model": options.model, "ceilings": machine, "contenders": results}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    if options.svg:
        bars = {
            name: found["end_to_end_s"]["median"]
            for name, found in results.items()
            if isinstance(found, dict) and "end_to_end_s" in found
        }
        shown = "of 17 tiles " if work is not None else ""
        title = f"{options.model} shape: a picture {shown}and 64 tokens, seconds"
        options.svg.write_text(bar_chart(title, bars, marked="smallsight"), encoding="utf-8")


if __name__ == "__main__":
    main()
