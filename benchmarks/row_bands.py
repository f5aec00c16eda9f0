"""What it costs that answers do not depend on their company: speed of one model under several row bands.

Run: python benchmarks/row_bands.py [--model SmolVLM-256M-Instruct] [--precision int8] [--json FILE]

Each way is loaded once. Then all are asked in turns, alone and eight at once, so that a slow moment of the
machine hits every way. The first way has no bands, which is only right where the runtime has one kernel.
The last two are the alternatives to bands: float32 arithmetic with dynamic quantisation in every call, and
weights stored as bf16.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image
from real_size_checkpoint import make_checkpoint

from smallsight.engine.engine import EngineOptions
from smallsight.engine.openvino.weight_store import probe_usual_shapes, tuning
from smallsight.machine.processor import processor
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.policy.row_bands import RowBands
from smallsight.quant.scheme import Scheme

SEQUENCES, DECODED = 8, 48
CACHE_BYTES = 640 << 20


def picture(seed: int) -> Image.Image:
    """Return noise, of which no two tiles are alike."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (400, 500, 3), np.uint8))


@dataclass(frozen=True)
class Way:
    """One way to make answers independent of the batch; ``None`` means as the product has it."""

    bands: RowBands
    hint: str | None = None
    precision: str | None = None


def load(directory: Path, way: Way, precision: str, threads: int, prepared_dir: Path) -> VisionLanguageModel:
    """Load a SmolVLM for one way."""

    def hinted(scheme: Scheme) -> dict[str, str | int]:
        hints = ("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION")  # the runtime wants them to be the same
        return tuning(scheme) | ({} if way.hint is None else dict.fromkeys(hints, way.hint))

    with mock.patch("smallsight.engine.openvino.weight_store.tuning", hinted):
        return VisionLanguageModel.load(
            directory,
            family="smolvlm",
            name="random",
            precision=way.precision or precision,
            threads=threads,
            prepared_dir=prepared_dir,
            options=EngineOptions(cache_bytes=CACHE_BYTES, row_bands=way.bands),
        )


def speeds(model: VisionLanguageModel, seed: int) -> dict[str, float]:
    """Return tokens per second: decoding alone, decoding eight at once, and a prompt's."""
    lone = model.describe(picture(seed), max_tokens=DECODED, ignore_stop=True, detail="low")
    many = list(
        model.describe_many(
            [picture(seed + 1 + number) for number in range(SEQUENCES)],
            batch_size=SEQUENCES,
            max_tokens=DECODED,
            ignore_stop=True,
            detail="low",
        )
    )
    seconds = [one.timings.total_s for one in many if not isinstance(one, Exception)]
    return {
        "alone_tokens_per_s": (DECODED - 1) / lone.timings.decode_s,
        "eight_tokens_per_s": SEQUENCES * DECODED / max(seconds),
        "prompt_tokens_per_s": lone.usage.prompt_tokens / lone.timings.prefill_s,
    }


def main() -> None:
    """Measure, print a table of ratios to the first way, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="SmolVLM-256M-Instruct")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="a checkpoint that is here, in place of a random one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    measured = probe_usual_shapes(arguments.threads, None).bands
    ways = {
        "no bands": Way(RowBands()),
        f"measured here {measured.starts}": Way(measured),
        "as with AMX (1, 5)": Way(RowBands((1, 5))),
        "as with AVX2 (1, 2, 81)": Way(RowBands((1, 2, 81))),
        "float32 arithmetic": Way(RowBands(), hint="f32"),
        "bf16 weights": Way(RowBands(), precision="bf16"),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        directory = arguments.folder or make_checkpoint(arguments.model, Path(folder))
        models = {
            name: stack.enter_context(
                load(directory, way, arguments.precision, arguments.threads, Path(folder))
            )
            for name, way in ways.items()
        }
        for number in range(arguments.rounds + 1):
            for name, model in models.items():
                result = speeds(model, 100 * number)
                if number:  # the first round packs weights
                    found[name].append(result)
    medians = {
        name: {key: statistics.median(one[key] for one in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    first = medians["no bands"]
    print(f"{arguments.model} {arguments.precision}, {arguments.threads} threads, {processor()}")
    for name, one in medians.items():
        ratios = "  ".join(f"{key} {value:.1f} ({value / first[key]:.2f})" for key, value in one.items())
        print(f"{name:32}  {ratios}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"processor": str(processor()), "ways": medians}, indent=1))


if __name__ == "__main__":
    main()
