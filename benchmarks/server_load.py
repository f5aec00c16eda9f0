"""What a server holds under load: errors, times, tokens, health and memory.

Run it as ``python benchmarks/server_load.py [MODE ...] [--model DIR] [--seconds S] [--json FILE]``. Modes:

- ``load``: --clients ask about --pictures for --seconds; somebody looks at /health/live throughout;
- ``ratio``: tokens a second of 8 clients against those of one, --seconds each;
- ``repeat``: the first token of a second question about a picture against that of the first, and of the same
  question against both;
- ``mixed``: --requests over three models under a ceiling, the peak against it, and what is left at the end;
- ``peer``: ``ratio`` for ``transformers serve`` on the same checkpoint, with and without continuous batching,
  and for ours at ``--detail high``, which looks at as many tiles as it does. Needs `make peers`.

The server and the clients share the machine. Answers from memory are off where not said otherwise, else the
second round of a load would measure a dictionary.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
from load_clients import Question, Seen, ask, ask_all, draw_pictures, percentiles_ms, with_probe
from served_process import MIB, Served, smallsight_server, transformers_server

ROOT = Path(__file__).resolve().parents[1]
MODEL = "measured"
NO_RESULTS = {"server__result_cache_bytes": "0"}
LIVE_TARGET_MS = 50.0
REPEAT_TARGET = 10.0
UNLOAD_TARGET = 1.1


def load_mode(options: argparse.Namespace) -> dict[str, Any]:
    """Many clients for a while."""
    pictures = draw_pictures(options.pictures, options.side)
    with smallsight_server({MODEL: options.model}, **_settings(options)) as server:
        _warm_up(server, pictures[0])
        start_bytes = server.memory.now_bytes()
        questions = _for_a_while(options, MODEL, pictures)
        row = asyncio.run(with_probe(server.url, questions, options.clients))
        return {
            "clients": options.clients,
            "pictures": options.pictures,
            **row,
            "memory_mib": _memory(server, start_bytes),
            "memory_over_time_mib": [round(one / MIB, 1) for one in server.memory.kept_bytes],
            "metrics": _metrics(server.url),
        }


def ratio_mode(options: argparse.Namespace) -> dict[str, Any]:
    """Compare eight clients with one."""
    with smallsight_server({MODEL: options.model}, **_settings(options)) as server:
        return _ratio(server, MODEL, options)


def peer_mode(options: argparse.Namespace) -> dict[str, Any]:
    """Measure ``ratio`` for transformers on the same checkpoint and pictures."""
    rows: dict[str, Any] = {}
    with smallsight_server({MODEL: options.model}, **_settings(options)) as server:
        rows["smallsight, detail high"] = _ratio(server, MODEL, _with(options, detail="high"))
    for name, more in (("plain", ()), ("continuous batching", ("--continuous-batching",))):
        try:
            with transformers_server(options.model, *more) as server:
                rows[name] = _ratio(server, str(options.model), options)
        except (SystemExit, httpx2.HTTPError) as error:
            rows[name] = {"failed": f"{type(error).__name__}: {error}"}
    return rows


def repeat_mode(options: argparse.Namespace) -> dict[str, Any]:
    """Ask twice about each picture, then the same again."""
    pictures = draw_pictures(options.pictures, options.side)
    texts = ("What is this?", "Which colours do you see?", "Which colours do you see?")
    with smallsight_server({MODEL: options.model}, **_settings(options, keeps_results=True)) as server:
        _warm_up(server, draw_pictures(options.pictures + 1, options.side)[-1])
        first_token_s = asyncio.run(_ask_in_order(server.url, pictures, texts))
    medians = [statistics.median(seconds) for seconds in first_token_s]
    return {
        "pictures": len(pictures),
        "first_ms": percentiles_ms(first_token_s[0]),
        "second_ms": percentiles_ms(first_token_s[1]),
        "same_ms": percentiles_ms(first_token_s[2]),
        "first_to_second": round(medians[0] / medians[1], 2),
        "first_to_same": round(medians[0] / medians[2], 2),
        "target": REPEAT_TARGET,
    }


def mixed_mode(options: argparse.Namespace) -> dict[str, Any]:
    """Ask three models in turn under a ceiling that does not hold all of them."""
    pictures = draw_pictures(options.pictures, options.side)
    names = ("one", "two", "three")
    models = dict.fromkeys(names, options.model)
    ceiling_bytes = int(options.max_gb * 1024**3) if options.max_gb else _ceiling(options, pictures[0])
    bounds = {
        "memory__max_gb": f"{ceiling_bytes / 1024**3:.4f}",
        "memory__max_loaded_models": "3",
        "memory__keep_alive_s": "3",
    }
    with smallsight_server(models, **(_settings(options) | bounds)) as server:
        for name in names:
            _warm_up(server, pictures[0], name)
        _wait_until_unloaded(server.url)
        baseline_bytes, own_baseline_bytes = server.memory.now_bytes(), server.memory.own_bytes()
        questions = _mixture(options.requests, names, pictures, options.max_tokens)
        row = asyncio.run(with_probe(server.url, questions, options.mixed_clients))
        _wait_until_unloaded(server.url)
        end_bytes, own_end_bytes = server.memory.now_bytes(), server.memory.own_bytes()
        return {
            "requests": options.requests,
            "clients": options.mixed_clients,
            **row,
            "ceiling_mib": round(ceiling_bytes / MIB, 1),
            "peak_mib": round(server.memory.peak_bytes / MIB, 1),
            "server_alone_peak_mib": round(server.memory.own_peak_bytes() / MIB, 1),
            "is_below_ceiling": server.memory.peak_bytes <= ceiling_bytes,
            "baseline_mib": round(baseline_bytes / MIB, 1),
            "end_mib": round(end_bytes / MIB, 1),
            "end_to_baseline": round(end_bytes / baseline_bytes, 3),
            "server_alone_baseline_mib": round(own_baseline_bytes / MIB, 1),
            "server_alone_end_mib": round(own_end_bytes / MIB, 1),
            "metrics": _metrics(server.url),
        }


MODES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "load": load_mode,
    "ratio": ratio_mode,
    "repeat": repeat_mode,
    "mixed": mixed_mode,
    "peer": peer_mode,
}


def _with(options: argparse.Namespace, **values: object) -> argparse.Namespace:
    return argparse.Namespace(**(vars(options) | values))


def _settings(options: argparse.Namespace, *, keeps_results: bool = False) -> dict[str, str]:
    settings = {"inference__dtype": options.dtype, "memory__keep_alive_s": "-1"}
    if options.threads:
        settings["threads"] = str(options.threads)
    return settings if keeps_results else {**settings, **NO_RESULTS}


def _ratio(server: Served, model: str, options: argparse.Namespace) -> dict[str, Any]:
    pictures = draw_pictures(options.pictures, options.side)
    _warm_up(server, pictures[0], model)
    start_bytes = server.memory.now_bytes()
    rows: dict[int, Seen] = {}
    for num_clients in (1, 8):
        questions = _for_a_while(options, model, pictures)
        rows[num_clients] = asyncio.run(ask_all(server.url, questions, num_clients))
    ratio = rows[8].tokens_per_s / max(1e-9, rows[1].tokens_per_s)
    return {
        "one": rows[1].row(),
        "eight": rows[8].row(),
        "ratio": round(ratio, 2),
        "memory_mib": _memory(server, start_bytes),
    }


async def _for_a_while(
    options: argparse.Namespace, model: str, pictures: list[str]
) -> AsyncIterator[Question]:
    ends_s = time.perf_counter() + options.seconds
    number = 0
    while time.perf_counter() < ends_s:
        text, picture = f"{number}. Describe this image.", pictures[number % len(pictures)]
        yield Question(model, picture, text, options.max_tokens, options.detail)
        number += 1


async def _mixture(
    num_requests: int, names: tuple[str, ...], pictures: list[str], max_tokens: int
) -> AsyncIterator[Question]:
    """Yield questions with and without pictures, long and short, of models that change every few."""
    for number in range(num_requests):
        picture = None if number % 5 == 4 else pictures[number % len(pictures)]
        detail = ("auto", "high", "low")[number % 3]
        length = max_tokens * (1 + number % 3)
        yield Question(names[number // 7 % len(names)], picture, f"Question {number}: what?", length, detail)


async def _ask_in_order(url: str, pictures: list[str], texts: tuple[str, ...]) -> list[list[float]]:
    seen = [Seen() for _ in texts]
    async with httpx2.AsyncClient(base_url=url, timeout=300, trust_env=False) as http:
        for picture in pictures:
            for text, one in zip(texts, seen, strict=True):
                await ask(http, Question(MODEL, picture, text, 8, "high"), one)
    return [one.first_token_s for one in seen]


def _warm_up(server: Served, picture: str, model: str = MODEL) -> None:
    """Load the model and start the decoders; raises SystemExit when it cannot be asked."""

    async def two() -> Seen:
        seen = Seen()
        async with httpx2.AsyncClient(base_url=server.url, timeout=600, trust_env=False) as http:
            question = Question(model, picture, "Are you there?", 4)
            await asyncio.gather(ask(http, question, seen), ask(http, question, seen))
        return seen

    seen = asyncio.run(two())
    if not seen.total_s:
        raise SystemExit(f"{model} at {server.url} does not answer: {dict(seen.statuses)}")


def _ceiling(options: argparse.Namespace, picture: str) -> int:
    """Return a ceiling under which two of three models have room, from what one takes."""
    settings = _settings(options) | {"memory__keep_alive_s": "0"}
    with smallsight_server({MODEL: options.model}, **settings) as server:
        _warm_up(server, picture)
        _wait_until_unloaded(server.url)
        empty_bytes, loaded_bytes = server.memory.now_bytes(), server.memory.peak_bytes
    return int(empty_bytes + 2.2 * (loaded_bytes - empty_bytes) + 160 * MIB)  # and answers of all of them


def _wait_until_unloaded(url: str) -> None:
    with httpx2.Client(base_url=url, trust_env=False) as http:
        deadline = time.monotonic() + 60
        while http.get("/health").json()["models"]:
            if time.monotonic() > deadline:
                raise SystemExit("The models were not unloaded.")
            time.sleep(0.2)
    time.sleep(0.5)


def _memory(server: Served, start_bytes: int) -> dict[str, float]:
    return {
        "start": round(start_bytes / MIB, 1),
        "peak": round(server.memory.peak_bytes / MIB, 1),
        "end": round(server.memory.now_bytes() / MIB, 1),
        "server_alone_peak": round(server.memory.own_peak_bytes() / MIB, 1),
    }


def _metrics(url: str) -> dict[str, float]:
    """Return the counters that say what was done, without those of single routes."""
    wanted = (
        "smallsight_tiles_total",
        "smallsight_tokens_total",
        "smallsight_model_",
        "smallsight_result_cache",
    )
    lines = httpx2.get(f"{url}/metrics", trust_env=False).text.splitlines()
    rows = (line.rsplit(" ", 1) for line in lines if line.startswith(wanted))
    return {name: float(value) for name, value in rows}


def main() -> None:
    """Measure what is asked for, print it and write it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modes", nargs="*", default=["load"], metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--model", type=Path, default=ROOT / "training" / "begun" / "model")
    parser.add_argument("--dtype", default="auto", help="as inference.dtype")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--side", type=int, default=512, help="of the pictures, in pixels")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--detail", default="auto", choices=("auto", "high", "low"))
    parser.add_argument("--requests", type=int, default=1000, help="of the mode mixed")
    parser.add_argument("--mixed-clients", type=int, default=6)
    parser.add_argument("--max-gb", type=float, help="the ceiling of the mode mixed; found out if not given")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if unknown := set(options.modes) - set(MODES):
        parser.error(f"there is no mode {', '.join(sorted(unknown))}")
    report: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 2),
        "model": options.model.name,
        "dtype": options.dtype,
        "side_px": options.side,
        "max_tokens": options.max_tokens,
        "detail": options.detail,
    }
    for mode in options.modes:
        report[mode] = MODES[mode](options)
        print(f"{mode}: {json.dumps(report[mode], indent=2)}", flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
