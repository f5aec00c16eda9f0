"""Pictures per second from JPEG files of 512 pixels to vectors, against open_clip, ONNX Runtime and rclip.

Real-size random weights of SigLIP B/16 and ViT-B/32. Each contender is a process that keeps its network; they
work by turns, so that a busy moment of the machine does not hit one only, and ratios are those of one round.
rclip takes part beside the ViT-B/32, with its own network of 256 pixels, which has more patches.

Run: python benchmarks/picture_embedding.py --peers PYTHON [--pictures 64] [--rounds 5] [--threads 2]

PYTHON has open_clip_torch, torch, torchvision, onnx, onnxruntime, onnxscript and rclip; without it only ours
is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from dual_encoder_files import write_checkpoint
from PIL import Image

from smallsight.machine.processor import processor

PROGRAM = Path(__file__).parent / "contenders" / "picture_contender.py"
RESULT_PATH = Path(__file__).parent / "results" / "picture_embedding.json"
CHECKPOINTS = {"siglip": "SigLIP-base-patch16-224", "clip": "CLIP-ViT-B-32"}
OURS = ("smallsight-int8", "smallsight-bf16", "smallsight-openvino-int8")
PEERS: Mapping[str, Sequence[str]] = {
    "siglip": ("open_clip", "open_clip-fp32", "onnxruntime-int8"),
    "clip": ("open_clip", "open_clip-fp32", "onnxruntime-int8", "rclip"),
}


class Contender:
    """One process with a loaded network."""

    def __init__(self, python: str, kind: str, *arguments: str | Path) -> None:
        self.kind = kind
        words = [python, str(PROGRAM), kind, *map(str, arguments)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loaded = self._answer()
        self.rounds: list[dict[str, float]] = []

    def embed(self) -> None:
        """Embed all pictures once."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.rounds.append(self._answer())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.kind} ended with code {self._process.wait()}.")
        answer: dict[str, float] = json.loads(line)
        return answer


def write_pictures(folder: Path, number: int) -> None:
    """Write JPEG files of 512 x 384 pixels, smooth with some noise, as photographs are."""
    random = np.random.default_rng(0)
    for index in range(number):
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((512, 384), Image.Resampling.BICUBIC)
        noisy = np.asarray(smooth, np.int16) + random.integers(-12, 13, (384, 512, 3))
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{index:03}.jpg", quality=88)


def measure(model: str, arguments: argparse.Namespace, pictures: Path, work: Path) -> dict[str, Any]:
    """Return what each contender took, for one network."""
    checkpoint = work / model
    if not checkpoint.exists():
        write_checkpoint(CHECKPOINTS[model], checkpoint)
    shared = (model, pictures, str(arguments.threads))
    contenders = [Contender(sys.executable, kind, *shared, checkpoint) for kind in OURS]
    chosen = [kind for kind in PEERS[model] if kind in arguments.contenders] if arguments.peers else []
    contenders += [Contender(arguments.peers, kind, *shared) for kind in chosen]
    for number in range(arguments.rounds):
        for contender in contenders:
            contender.embed()
            last = contender.rounds[-1]
            print(
                f"{model} {number} {contender.kind}: {last['wall_s']:.2f} s, {last['cpu_s']:.2f} s CPU",
                flush=True,
            )
    for contender in contenders:
        contender.close()
    return {contender.kind: _summary(contender, contenders[0]) for contender in contenders}


def _summary(contender: Contender, ours: Contender) -> dict[str, Any]:
    """Return medians, and how many times as fast ours in int8 was in each round, by clock and processor."""
    rounds = contender.rounds
    return {
        "pictures_per_s": round(median(one["pictures"] / one["wall_s"] for one in rounds), 2),
        "cpu_ms_per_picture": round(1000 * median(one["cpu_s"] / one["pictures"] for one in rounds), 1),
        "ours_int8_times_as_fast": _ratios(rounds, ours.rounds, "wall_s"),
        "ours_int8_times_as_fast_by_cpu": _ratios(rounds, ours.rounds, "cpu_s"),
        "peak_mib": round(max(one["peak_mib"] for one in [contender.loaded, *rounds])),
    }


def _ratios(
    rounds: Sequence[Mapping[str, float]], ours: Sequence[Mapping[str, float]], name: str
) -> list[float]:
    return [round(one[name] / own[name], 2) for one, own in zip(rounds, ours, strict=True)]


def main() -> None:
    """Measure both networks and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", help="the Python that has the other programs")
    parser.add_argument("--models", nargs="+", choices=CHECKPOINTS, default=list(CHECKPOINTS))
    known = sorted({kind for kinds in PEERS.values() for kind in kinds})
    parser.add_argument("--contenders", nargs="+", choices=known, default=known)
    parser.add_argument("--work", type=Path, help="a folder that keeps the checkpoints for the next time")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.work or Path(folder)
        pictures = Path(folder, "pictures")
        pictures.mkdir()
        write_pictures(pictures, arguments.pictures)
        load = os.getloadavg()[0]
        result = {
            "processor": processor().name,
            "threads": arguments.threads,
            "pictures": arguments.pictures,
            "load_before": round(load, 1),
            **{model: measure(model, arguments, pictures, work) for model in arguments.models},
        }
    RESULT_PATH.parent.mkdir(exist_ok=True)
    RESULT_PATH.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
