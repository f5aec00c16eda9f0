"""Absurd requests to a real server: each is refused at once, or answered well, and none makes it grow."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from PIL import Image

from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

_Seen = TypeVar("_Seen")
MIB = 1024**2
MAX_PEAK_BYTES = 128 * MIB  # beyond what is held, for a refusal; the largest bodies are 10 MB of text
MAX_GROWTH_BYTES = 64 * MIB
QUESTION = [{"role": "user", "content": "hello"}]


def lying_png(width: int, height: int) -> bytes:
    """Return a PNG whose header promises more than follows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def bomb_png(side: int) -> bytes:
    """Return a small file that is honest about its many pixels."""
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


def parts(*urls: str) -> dict[str, Any]:
    return {"messages": about(*urls)}


@dataclass
class Case:
    """A body, or the fields that make one absurd, and the statuses that are right."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    statuses: tuple[int, ...] = (400,)
    raw: bytes | None = None

    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw
        plain = {"model": "tiny", "messages": QUESTION, "max_tokens": 2}
        return json.dumps({**plain, **self.fields}).encode()


LARGE = 10**9
CASES = [
    Case("n", {"n": LARGE}),
    Case("n below one", {"n": 0}),
    Case("max_tokens", {"max_tokens": LARGE}),
    Case("max_completion_tokens", {"max_completion_tokens": LARGE}),
    Case("negative max_tokens", {"max_tokens": -2}),  # -1 is no limit, as for other servers
    Case("a number of 400 digits", raw=b'{"model":"tiny","seed":1' + b"0" * 400 + b',"messages":[]}'),
    Case("a number of 100,000 digits", raw=b'{"model":"tiny","seed":1' + b"0" * 100_000 + b',"messages":[]}'),
    Case("top_logprobs", {"logprobs": True, "top_logprobs": LARGE}),
    Case("top_k", {"top_k": LARGE}),
    Case("temperature", {"temperature": 1e300}),
    Case(
        "not a number", raw=b'{"model":"tiny","temperature":NaN,"messages":[{"role":"user","content":"a"}]}'
    ),
    Case("10,000 stop strings", {"stop": ["x"] * 10_000}),
    Case("100,000 biases", {"logit_bias": {str(number): 1 for number in range(100_000)}}, (413,)),
    Case("40,000 biases", {"logit_bias": {str(number): 1 for number in range(40_000)}}),
    Case("10,000 messages", {"messages": QUESTION * 10_000}),
    Case(
        "100,000 parts",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 100_000}]},
        (413,),
    ),
    Case(
        "30,000 parts", {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}] * 30_000}]}
    ),
    Case("arrays in arrays", raw=b'{"messages":' + b"[" * 100_000),
    Case(
        "a schema of schemas",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"enum": list(range(200_000))}},
            }
        },
        (413,),
    ),
    Case("a long name", {"model": "m" * 1_000_000}),
    Case("10 MB of text", {"messages": [{"role": "user", "content": "word " * 2_000_000}]}, (413,)),
    Case("2 MB of text", {"messages": [{"role": "user", "content": "word " * 400_000}]}),
    Case("10 MB without a space", {"messages": [{"role": "user", "content": "a" * 10_000_000}]}, (413,)),
    Case("1,000 pictures", parts(*[data_url(png(0, 8, 8))] * 1000)),
    Case("1,000 different pictures", parts(*[data_url(png(seed, 4, 4)) for seed in range(1000)])),
    Case("40,000 x 40,000 PNG", parts(data_url(lying_png(40_000, 40_000))), (413,)),
    Case("4 billion x 4 billion PNG", parts(data_url(lying_png(2**31 - 1, 2**31 - 1))), (413, 422)),
    Case("an honest bomb", parts(data_url(bomb_png(20_000))), (413,)),
    Case("an empty file", parts("data:image/png;base64,"), (400,)),
    Case("5 MB of base64 that is none", parts("data:image/png;base64," + "!" * 5_000_000), (400,)),
    Case("5 MB that is no picture", parts("data:image/png;base64," + "A" * 5_000_000), (415,)),
    Case("an address of 1 MB", parts("https://example.org/" + "a" * 1_000_000), (400,)),
    Case("1 x 1 picture", parts(data_url(png(0, 1, 1))), (200,)),
    Case("1 x 20,000 picture", parts(data_url(png(0, 1, 20_000))), (200,)),
    Case("20,000 x 1 picture", parts(data_url(png(0, 20_000, 1))), (200,)),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("absurd")
    folder = make_checkpoint(root / "model", SHAPES[0])
    RegisteredModels(root / "home" / "models.json").add(RegisteredModel("tiny", folder, "smolvlm"))
    with running(root / "home", "--model", "tiny", threads="1", inference__dtype="fp32") as one:
        one.wait_until(lambda: one.http.get("/health/ready").status_code == 200)
        for seed in range(4):  # both decoders are there, and the runtime has what it needs
            assert one.ask(
                model="tiny", max_tokens=2, messages=about(data_url(png(seed, 200, 200)))
            ).is_success
        yield one


def of_processes(server: Server, look: Callable[[psutil.Process], _Seen]) -> list[_Seen]:
    """Return what is seen of the server and its children, one of which may just have ended."""
    process, seen = psutil.Process(server.process.pid), []
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            seen.append(look(one))
    return seen


def held_bytes(server: Server) -> int:
    return sum(of_processes(server, lambda one: one.memory_info().rss))


def forget_peaks(server: Server) -> None:
    of_processes(server, lambda one: Path(f"/proc/{one.pid}/clear_refs").write_text("5"))


def peak_bytes(server: Server) -> int:
    """Return the most memory that the server and its children have held since their peaks were forgotten."""
    told = of_processes(server, lambda one: Path(f"/proc/{one.pid}/status").read_text())
    peaks = (re.search(r"^VmHWM:\s+(\d+) kB$", one, re.MULTILINE) for one in told)
    return sum(1024 * int(one[1]) for one in peaks if one is not None)


def computed(server: Server) -> list[str]:
    """Return how many tokens and tiles the models have had to do with."""
    lines = server.http.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith(("smallsight_tokens_total", "smallsight_tiles_total"))]


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_without_much_work_or_answered(server: Server, case: Case):
    body, before, before_bytes = case.body(), computed(server), held_bytes(server)
    forget_peaks(server)
    response = server.http.post(
        "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
    )
    grown = peak_bytes(server) - before_bytes
    print(f"{case.name}: {response.status_code}, {grown / MIB:+.1f} MiB")
    assert response.status_code in case.statuses, response.text[:500]
    if response.status_code == 200:
        assert response.json()["usage"]["completion_tokens"] == 2
    else:
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        assert len(response.content) < 2000
        assert computed(server) == before
        assert grown < MAX_PEAK_BYTES
    assert server.http.get("/health/live").status_code == 200


def test_a_body_of_a_gigabyte_is_refused_before_it_is_sent(server: Server):
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {2**30}\r\nConnection: close\r\n\r\n".encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
def test_none_of_it_stays_in_memory(server: Server):
    before = held_bytes(server)
    for _ in range(2):
        for case in CASES:
            server.http.post(
                "/v1/chat/completions", content=case.body(), headers={"content-type": "application/json"}
            )
    grown = held_bytes(server) - before
    print(f"grown by {grown / MIB:.1f} MiB in {2 * len(CASES)} requests")
    assert grown < MAX_GROWTH_BYTES
    picture = base64.b64encode(png(77)).decode()
    assert server.ask(model="tiny", max_tokens=2, messages=about(f"data:;base64,{picture}")).is_success
