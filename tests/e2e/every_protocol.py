"""A server with every protocol, and one request to each route with a body that it answers."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .generating import FAST, Receiver
from .serving import Server, png, running

PICTURE = base64.b64encode(png()).decode()
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
RPC = {"jsonrpc": "2.0", "id": 1}
CALL = {"name": "search_pictures", "arguments": {"query": "cat", "limit": 3, "tags": ["a"]}}


@dataclass(frozen=True)
class Spoken:
    """A route and a body with all kinds of fields; ``picture`` is the path to a picture in it."""

    path: str
    body: dict[str, Any]
    picture: tuple[str | int, ...] = ()
    texts: tuple[str | int, ...] = ()  # the path to a list that may be too long

    @property
    def headers(self) -> dict[str, str]:
        return {"content-type": "application/json", "accept": "application/json, text/event-stream"}


OLLAMA = {
    "model": "test",
    "stream": False,
    "format": "",
    "options": {"num_predict": 2, "temperature": 0.5, "top_k": 3, "seed": 1, "stop": ["x"]},
    "keep_alive": "5m",
}
ANTHROPIC = {
    "model": "test",
    "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
                {"type": "text", "text": "What?"},
            ],
        }
    ],
    "tools": [{"name": "report", "description": "Reports.", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto"},
}
SPOKEN = (
    Spoken(
        "/api/chat",
        OLLAMA
        | {
            "messages": [{"role": "user", "content": "What?", "images": [PICTURE]}],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
        },
        ("messages", 0, "images", 0),
        ("messages",),
    ),
    Spoken(
        "/api/generate",
        OLLAMA | {"prompt": "What?", "images": [PICTURE], "system": "Be brief."},
        ("images", 0),
        ("images",),
    ),
    Spoken("/api/embed", {"model": "all-minilm", "input": ["a", "b"], "truncate": True}, (), ("input",)),
    Spoken("/api/embeddings", {"model": "all-minilm", "prompt": "a"}),
    Spoken("/api/show", {"model": "test"}),
    Spoken("/api/pull", {"model": "test", "stream": False}),
    Spoken("/v1/embeddings", {"input": ["a", "b"], "encoding_format": "float"}, (), ("input",)),
    Spoken(
        "/v1/messages",
        ANTHROPIC | {"max_tokens": 2, "temperature": 0.5, "stop_sequences": ["x"], "stream": False},
        ("messages", 0, "content", 0, "source", "data"),
        ("messages",),
    ),
    Spoken(
        "/v1/messages/count_tokens",
        ANTHROPIC,
        ("messages", 0, "content", 0, "source", "data"),
        ("messages",),
    ),
    Spoken(
        "/v1/responses",
        {
            "model": "test",
            "store": False,
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"},
                        {"type": "input_text", "text": "What?"},
                    ],
                }
            ],
        },
        ("input", 0, "content", 0, "image_url"),
        ("input",),
    ),
    Spoken(
        "/generator/add_job",
        {
            "image_core_id": 1,
            "image_path": "none.png",
            "attempt_id": 2,
            "callback_token": "t",
            "model": "test",
        },
    ),
    Spoken("/mcp", RPC | {"method": "tools/call", "params": CALL}, (), ("params", "arguments", "tags")),
)


@contextlib.contextmanager
def everything(folder: Path) -> Iterator[Server]:
    """Run a server without keys on which every protocol is mounted."""
    receiver = Receiver(folder)
    settings = {f"generator__{name}": value for name, value in FAST.items()}
    settings |= {
        "generator__mounted": "true",
        "generator__app_url": f"http://127.0.0.1:{receiver.port}",
        "immich__enabled": "true",
    }
    try:
        with running(folder / "home", "--model", "test", threads="1", **settings) as server:
            yield server
    finally:
        receiver.stop()


def changed(body: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy of a body with another value at a path."""
    copied = json.loads(json.dumps(body))
    if not path:
        return value
    inner = copied
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return copied


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of everything in a body."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, one in inner:
        yield from places(one, (*path, part))
