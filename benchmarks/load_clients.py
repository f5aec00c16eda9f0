"""Clients that ask a server about pictures, each one question after another, and what they saw of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

import httpx2
import numpy as np
from PIL import Image

_LATER = (429, 503)
_PROBE_S, _PROBE_NICE = 0.1, -10
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    model: str
    picture: str | None
    text: str
    max_tokens: int = 32
    detail: str = "auto"
    unwanted_tokens: tuple[int, ...] = ()  # such as end tokens, so that an answer has ``max_tokens``

    def body(self) -> dict[str, Any]:
        """Return it as chat completions take it, streamed."""
        parts: list[dict[str, Any]] = [{"type": "text", "text": self.text}]
        if self.picture is not None:
            image = {"url": self.picture, "detail": self.detail}
            parts.insert(0, {"type": "image_url", "image_url": image})
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": parts}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.unwanted_tokens:
            body["logit_bias"] = {str(one): -100 for one in self.unwanted_tokens}
        return body


@dataclass(slots=True)
class Seen:
    """What clients have seen: statuses, and of answers the times and tokens."""

    statuses: Counter[str] = field(default_factory=Counter)
    first_token_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)
    num_tokens: int = 0
    began_s: float = field(default_factory=time.perf_counter)
    ended_s: float = 0.0

    @property
    def tokens_per_s(self) -> float:
        """Tokens of all answers by the time they took together."""
        return self.num_tokens / max(1e-9, self.ended_s - self.began_s)

    def row(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "statuses": dict(self.statuses),
            "answers": len(self.total_s),
            "tokens": self.num_tokens,
            "seconds": round(self.ended_s - self.began_s, 2),
            "tokens_per_s": round(self.tokens_per_s, 2),
            "first_token_ms": percentiles_ms(self.first_token_s),
            "answer_ms": percentiles_ms(self.total_s),
        }


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return median, 99th percentile and maximum in milliseconds; None of nothing."""
    if not seconds:
        return None
    ms = np.array(seconds) * 1000
    return {
        "p50": round(float(np.percentile(ms, 50)), 2),
        "p99": round(float(np.percentile(ms, 99)), 2),
        "max": round(float(ms.max()), 2),
    }


def draw_pictures(num_pictures: int, side_px: int) -> list[str]:
    """Return pictures of coloured noise and blocks, all different, as data: URLs."""
    dice = np.random.default_rng(0)
    urls = []
    for _ in range(num_pictures):
        blocks = dice.integers(0, 256, (8, 8, 3), np.uint8)
        image = Image.fromarray(blocks).resize((side_px, side_px), Image.Resampling.NEAREST)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        urls.append("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"))
    return urls


async def ask(http: httpx2.AsyncClient, question: Question, seen: Seen) -> None:
    """Ask once; refused for now, wait as the server says."""
    began_s = time.perf_counter()
    pause_s = 0.0
    try:
        async with http.stream("POST", "/v1/chat/completions", json=question.body()) as response:
            if response.status_code == 200:
                await _hear(response, began_s, seen)
            else:
                await response.aread()
                seen.statuses[str(response.status_code)] += 1
                if response.status_code in _LATER:
                    pause_s = float(response.headers.get("retry-after", "1"))
    except httpx2.HTTPError as error:
        seen.statuses[type(error).__name__] += 1
        pause_s = 0.1
    if pause_s:
        await asyncio.sleep(pause_s)


async def _hear(response: httpx2.Response, began_s: float, seen: Seen) -> None:
    first_s, num_pieces, num_tokens, status = 0.0, 0, 0, "broken off"
    async for line in response.aiter_lines():
        if line == "data: [DONE]":
            status = "200"
        elif line.startswith("data: "):
            chunk = json.loads(line[6:])
            if "error" in chunk:
                status = "error in stream"
                break
            num_tokens = (chunk.get("usage") or {}).get("completion_tokens") or num_tokens
            if any((choice.get("delta") or {}).get("content") for choice in chunk["choices"]):
                first_s = first_s or time.perf_counter()
                num_pieces += 1
            if any(choice.get("finish_reason") for choice in chunk["choices"]):
                status = "200"
    seen.statuses[status] += 1
    if status == "200":
        now_s = time.perf_counter()
        seen.first_token_s.append((first_s or now_s) - began_s)
        seen.total_s.append(now_s - began_s)
        seen.num_tokens += num_tokens or num_pieces


async def ask_all(url: str, questions: AsyncIterator[Question], num_clients: int) -> Seen:
    """Have so many clients ask the questions, each its next one when its last one is answered."""
    seen = Seen()
    limits = httpx2.Limits(max_connections=num_clients)
    turn = asyncio.Lock()

    async def next_question() -> Question | None:
        async with turn:
            return await anext(questions, None)

    async with httpx2.AsyncClient(base_url=url, timeout=_TIMEOUT_S, trust_env=False, limits=limits) as http:

        async def client() -> None:
            while (question := await next_question()) is not None:
                await ask(http, question, seen)

        await asyncio.gather(*(client() for _ in range(num_clients)))
    seen.ended_s = time.perf_counter()
    return seen


def probe(url: str, ended: Event, seconds: Connection) -> None:
    """Ask /health/live again and again until ended, and send how long each answer took.

    Where it may, it goes before the clients, which share its machine: else its own wait for a core counts.
    """
    with contextlib.suppress(PermissionError):
        os.nice(_PROBE_NICE)
    took_s = []
    with httpx2.Client(base_url=url, timeout=_TIMEOUT_S, trust_env=False) as http:
        while not ended.wait(_PROBE_S):
            began_s = time.perf_counter()
            http.get("/health/live").raise_for_status()
            took_s.append(time.perf_counter() - began_s)
    seconds.send(took_s)


async def with_probe(url: str, questions: AsyncIterator[Question], num_clients: int) -> dict[str, Any]:
    """Ask the questions while somebody looks whether the server is alive.

    It does so from a process of its own: in that of the clients, it would wait for them as much as for it.
    """
    spawned = multiprocessing.get_context("spawn")
    ended, (receiving, sending) = spawned.Event(), spawned.Pipe(duplex=False)
    probing = spawned.Process(target=probe, args=(url, ended, sending), daemon=True)
    probing.start()
    sending.close()  # the process has its own: should it fail, there is an end to wait for
    try:
        seen = await ask_all(url, questions, num_clients)
    finally:
        ended.set()
    try:
        took_s = receiving.recv()
    except EOFError as error:
        raise SystemExit("/health/live gave an error, or no answer, during the load.") from error
    probing.join()
    return {**seen.row(), "live_ms": percentiles_ms(took_s), "num_looked": len(took_s)}
