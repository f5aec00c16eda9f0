"""Measures `smallsight caption --ray` with one and with two workers on this machine, one thread each.

The command is the real one; its cluster has one processor by its own word, then two, and as many workers.
All describe generated pictures, different ones, so that no cache answers. A rate is the slope of the line
through the progress file's growth, which comes in batches: starting Ray and loading models are not in it, but
in "seconds". Give a slow model a dozen batches of 4 pictures. Rounds are interleaved. On two cores the
workers share them with the process that reads the pictures and with Ray's own.

Run: python benchmarks/ray_throughput.py --pictures 600 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from generator_throughput import draw_pictures

from smallsight.machine.processor import processor

_POLL_S = 0.02
_STORE_BYTES = 100 * 1024**2


def main() -> None:
    """Measure both and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="Smallsight-tiny")
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--side", type=int, default=384, help="of the pictures, in pixels")
    options = parser.parse_args()
    rates: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as below:
        folder = Path(below)
        draw_pictures(folder / "pictures", options.pictures, options.side, compress_level=1)
        os.environ |= {"SMALLSIGHT_HOME": str(folder / "home"), "RAY_USAGE_STATS_ENABLED": "0"}
        os.environ["RAY_AUTH_MODE"] = "disabled"  # the cluster listens on loopback, for some minutes
        (folder / "home").mkdir()
        warm_up(folder, options)
        for number in range(options.rounds):
            for workers, found in rates.items():
                with cluster_of(workers) as address:
                    found.append(described(folder, options, address, f"{number}-{workers}"))
    times = [two["pictures_per_s"] / one["pictures_per_s"] for one, two in zip(*rates.values(), strict=True)]
    outcome: dict[str, Any] = {
        "processor": str(processor()),
        "pictures": options.pictures,
        "model": options.model,
        "max_tokens": options.max_tokens,
        "load_average": os.getloadavg()[0],
        "one_worker": rates[1],
        "two_workers": rates[2],
        "two_times_as_fast_as_one_by_round": [round(one, 2) for one in times],
        "median": round(float(np.median(times)), 2),
    }
    sys.stdout.write(json.dumps(outcome, indent=1) + "\n")


def warm_up(folder: Path, options: argparse.Namespace) -> None:
    """Store the quantised weights, which the first run of a machine does."""
    picture = next((folder / "pictures").glob("*.png"))
    subprocess.run(command(picture, folder / "warm.jsonl", options), stdout=subprocess.DEVNULL, check=True)


def command(pictures: Path, out: Path, options: argparse.Namespace) -> list[str]:
    """Return the command line that describes pictures."""
    arguments = [str(pictures), "--out", str(out), "--model", options.model, "--json", "--quiet"]
    return [
        *(sys.executable, "-m", "smallsight", "caption", *arguments),
        *("--max-tokens", str(options.max_tokens)),
    ]


@contextmanager
def cluster_of(num_cpus: int) -> Iterator[str]:
    """Yield the address of a new cluster of one node that has this many processors by its own word."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - after the environment is set

    head = {"num_cpus": num_cpus, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster.address
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def described(folder: Path, options: argparse.Namespace, address: str, name: str) -> dict[str, float]:
    """Describe all pictures on a cluster; return the rate of the middle, and the seconds of all."""
    out = folder / f"{name}.jsonl"
    log = out.with_name(f"{out.name}.progress.jsonl")
    began_s = time.perf_counter()
    process = subprocess.Popen(
        [*command(folder / "pictures", out, options), "--ray", address], stdout=subprocess.PIPE, text=True
    )
    seen: list[tuple[float, int]] = []
    while process.poll() is None:
        num_lines = log.read_bytes().count(b"\n") if log.exists() else 0
        if not seen or num_lines > seen[-1][1]:
            seen.append((time.perf_counter(), num_lines))
        time.sleep(_POLL_S)
    seconds = time.perf_counter() - began_s
    counts = json.loads(process.communicate()[0])
    if counts["described"] != options.pictures:
        raise SystemExit(f"Not all pictures were described: {counts}")
    times, numbers = zip(*(one for one in seen if one[1]), strict=True)
    return {
        "pictures_per_s": round(float(np.polyfit(times, numbers, 1)[0]), 3),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
