"""Times SmolVLM's vision tower against what this processor's multiplying instructions can do.

Measures the instructions themselves first (``instruction_rates.cpp``; it needs a C++ compiler). Then 17 tiles
go through OpenVINO and through smallsight-kernels by turns, over the same random weights in the shape of
SmolVLM-256M, and their image tokens are compared with those of float32; with ``--tiny-accuracy`` those of
Smallsight-tiny and a folder of pictures too.

Run: python benchmarks/vision_ceiling.py FOLDER [--precisions bf16 int8 int4] [--threads N] [--rounds N]

On a busy machine only processor time with --threads 1 is reliable.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from real_size_checkpoint import make_checkpoint

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.runner import TileEncoder
from smallsight.engine.engine import EngineOptions, LoadRequest
from smallsight.engine.openvino.tile_encoders import make_tile_encoder
from smallsight.engine.openvino.weight_store import open_stored
from smallsight.families.inline_model import InlineModel
from smallsight.families.messages import Tile
from smallsight.families.siglip_tower import SigLIPSizes
from smallsight.families.smolvlm.family import FAMILY
from smallsight.quant.scheme import parse_scheme

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "src/smallsight/shipped/Smallsight-tiny"
NAME, COMPARED = "SmolVLM-256M-Instruct", 3
ENGINES = ("openvino", "kernels")


def instruction_rates(folder: Path, threads: Sequence[int]) -> dict[str, dict[str, float]]:
    """Build and run the program; returns operations a second by kind and number of threads, or nothing."""
    compiler = next(filter(shutil.which, (os.environ.get("CXX", ""), "c++", "g++", "clang++")), None)
    if compiler is None:
        print("no C++ compiler: the instructions are not measured")
        return {}
    program = folder / "instruction_rates"
    source = str(HERE / "instruction_rates.cpp")
    subprocess.run([compiler, "-O2", "-std=c++17", "-pthread", source, "-o", str(program)], check=True)
    ran = subprocess.run([str(program), *map(str, threads)], check=True, capture_output=True, text=True)
    rates: dict[str, dict[str, float]] = json.loads(ran.stdout)
    return rates


def operations(sizes: SigLIPSizes) -> float:
    """Return the operations of a tile's products and attention, without patch embedding and connector."""
    linear = sizes.patches * sizes.hidden * (4 * sizes.hidden + 2 * sizes.ffn)
    attention = 2 * sizes.patches**2 * sizes.hidden
    return 2.0 * sizes.layers * (linear + attention)


def open_encoder(
    model_dir: Path, precision: str, engine: str, options: argparse.Namespace
) -> tuple[InlineModel, TileEncoder]:
    """Open a tower over stored weights; the engine "kernels" is OpenVINO where it cannot be used."""
    scheme, chosen = parse_scheme(precision), EngineOptions(uses_kernels=engine == "kernels")
    assert FAMILY.open_inline is not None
    model = FAMILY.open_inline(model_dir, scheme, chosen.tiled_bytes)
    prepared_dir = options.folder / "prepared"
    prepared_dir.mkdir(parents=True, exist_ok=True)
    request = LoadRequest(model_dir, scheme, options.threads, prepared_dir, chosen)
    return model, make_tile_encoder(model, open_stored(model, request), FeatureCache(0))


def random_tiles(model: InlineModel, count: int) -> list[Tile]:
    """Return tiles of blurred noise, in the size of the model's."""
    side = round(np.sqrt(model.siglip_tower({}).sizes.patches)) * 16  # type: ignore[union-attr]
    values, tiles = np.random.default_rng(4), []
    for number in range(count):
        coarse = Image.fromarray(values.integers(0, 256, (12, 12, 3), np.uint8))
        pixels_HWC = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))
        tiles.append(Tile(pixels_HWC, number.to_bytes(4, "big")))
    return tiles


def encode_all(encoder: TileEncoder, tiles: Sequence[Tile]) -> NDArray[np.float32]:
    """Return the image tokens of all tiles, float32 [tiles, tokens, hidden]."""
    features = [encoder.encode([tile]) for tile in tiles]
    return np.concatenate([one for one in features if one is not None])


def cosines(found: NDArray[np.float32], expected: NDArray[np.float32]) -> dict[str, float]:
    """Return how far the mean and the worst image token's cosine is from 1."""
    lengths = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    missing = 1 - (found.astype(np.float64) * expected).sum(axis=-1) / lengths
    return {"mean": float(missing.mean()), "worst": float(missing.max())}


def timed_turns(
    encoders: dict[str, TileEncoder], tiles: Sequence[Tile], rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Return each engine's seconds of wall and of processor time for all tiles, in turns."""
    seconds: dict[str, list[tuple[float, float]]] = {engine: [] for engine in encoders}
    for encoder in encoders.values():
        encode_all(encoder, tiles[:2])
    for _ in range(rounds):
        for engine, encoder in encoders.items():
            wall_s, processor_s = time.perf_counter(), time.process_time()
            encode_all(encoder, tiles)
            seconds[engine].append((time.perf_counter() - wall_s, time.process_time() - processor_s))
    return seconds


def peak_mib(precision: str, engine: str, options: argparse.Namespace) -> float:
    """Return the peak memory of a process that opens the tower and encodes two tiles."""
    command = [sys.executable, __file__, str(options.folder), "--peak", precision, engine]
    command += ["--threads", str(options.threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure(options: argparse.Namespace, rates: dict[str, dict[str, float]]) -> dict[str, object]:
    """Time the towers in true size, and compare their image tokens with float32's."""
    model_dir = make_checkpoint(NAME, options.folder)
    model, exact = open_encoder(model_dir, "fp32", "openvino", options)
    tiles = random_tiles(model, options.tiles)
    expected = encode_all(exact, tiles[:COMPARED])
    del exact
    tower = model.siglip_tower({})
    assert tower is not None
    work = operations(tower.sizes) * options.tiles
    best_int8 = max((rate[str(options.threads)] for name, rate in rates.items() if "int8" in name), default=0)
    found: dict[str, object] = {}
    for precision in options.precisions:
        encoders = {engine: open_encoder(model_dir, precision, engine, options)[1] for engine in ENGINES}
        seconds = timed_turns(encoders, tiles, options.rounds)
        for engine, encoder in encoders.items():
            walls, processors = zip(*seconds[engine], strict=True)
            one: dict[str, object] = {
                "seconds_best": min(walls),
                "seconds_median": statistics.median(walls),
                "processor_seconds_best": min(processors),
                "tops_best": work / min(walls) / 1e12,
                "of_int8_instructions": work / min(walls) / best_int8 if best_int8 else None,
                "cosine_missing": cosines(encode_all(encoder, tiles[:COMPARED]), expected),
                "peak_mib": peak_mib(precision, engine, options),
            }
            found[f"{precision} {engine}"] = one
            print(precision, engine, type(encoder).__name__, json.dumps(one))
        for index, name in enumerate(("wall", "processor")):
            both = zip(seconds["openvino"], seconds["kernels"], strict=True)
            times = " ".join(f"{runtime[index] / native[index]:.2f}" for runtime, native in both)
            print(precision, f"times faster by {name} time, by round:", times)
    return found


def compare_tiny(options: argparse.Namespace, pictures: Path) -> None:
    """Compare the image tokens of Smallsight-tiny on real pictures with float32's."""
    _, exact = open_encoder(SHIPPED, "fp32", "openvino", options)
    side = json.loads((SHIPPED / "config.json").read_text())["vision_config"]["image_size"]
    found = sorted(one for one in pictures.rglob("*") if one.suffix in {".jpg", ".png"})
    tiles = [
        Tile(np.asarray(Image.open(one).convert("RGB").resize((side, side))), str(one).encode())
        for one in found
    ]
    expected = encode_all(exact, tiles)
    for precision in options.precisions:
        for engine in ENGINES:
            encoder = open_encoder(SHIPPED, precision, engine, options)[1]
            missing = cosines(encode_all(encoder, tiles), expected)
            print("Smallsight-tiny,", len(tiles), "pictures,", precision, engine, json.dumps(missing))


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--precisions", nargs="+", default=["bf16", "int8", "int4"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiles", type=int, default=17)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny-accuracy", type=Path, metavar="PICTURES")
    parser.add_argument("--peak", nargs=2, metavar=("PRECISION", "ENGINE"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.peak is not None:
        precision, engine = options.peak
        model, encoder = open_encoder(make_checkpoint(NAME, options.folder), precision, engine, options)
        encode_all(encoder, random_tiles(model, 2))
        lines = Path("/proc/self/status").read_text().splitlines()
        print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
        return
    rates = instruction_rates(options.folder, sorted({1, options.threads}))
    for name, rate in rates.items():
        print(f"{name}:", ", ".join(f"{one / 1e12:.2f} TOP/s on {count}" for count, one in rate.items()))
    found = {"instructions": rates, "towers": measure(options, rates)}
    if options.tiny_accuracy is not None:
        compare_tiny(options, options.tiny_accuracy)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
