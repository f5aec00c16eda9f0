"""What the programs of this folder are given, and the report that each prints: what worked, and its words."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

QUESTION = "What is this?"
NEXT_QUESTION = "Describe the picture."
EMBEDDER = "all-MiniLM-L6-v2"


class Seen(BaseModel):
    """What the picture shows."""

    model_config = ConfigDict(extra="forbid")

    has_text: bool
    animal: Literal["owl", "bee", "dog"]


@dataclass(frozen=True)
class Given:
    """The server, a key, a model, and a picture."""

    url: str  # without /v1
    key: str
    model: str
    picture: Path

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def url_with_key(self) -> str:
        """Return the address with the key as a password, which clients send as HTTP Basic."""
        return self.url.replace("://", f"://anyone:{self.key}@", 1)

    @property
    def base64(self) -> str:
        return base64.b64encode(self.picture.read_bytes()).decode()

    @property
    def data_url(self) -> str:
        return f"data:image/png;base64,{self.base64}"

    def openai_messages(self, text: str = QUESTION) -> list[dict]:
        """Return a conversation about the picture in the form of chat completions."""
        picture = {"type": "image_url", "image_url": {"url": self.data_url}}
        return [{"role": "user", "content": [picture, {"type": "text", "text": text}]}]


@dataclass
class Report:
    """Each feature that was tried, whether it worked, and what was said."""

    features: dict[str, dict[str, object]] = field(default_factory=dict)

    @contextmanager
    def feature(self, name: str) -> Iterator[Callable[[object], None]]:
        """Try one. The block calls what it is given with what the client returned, which may not be empty."""
        told: list[str] = []
        try:
            yield lambda text: told.append(str(text))
            if not any(one.strip() for one in told):
                raise ValueError("nothing was said")
        except Exception as error:  # noqa: BLE001 - whatever a client raises is what its user sees
            self.features[name] = {"ok": False, "said": f"{type(error).__name__}: {error}"}
        else:
            self.features[name] = {"ok": True, "said": " | ".join(told)}


def tell(program: Callable[[Given, Report], None]) -> None:
    """Run a program with the arguments of the command line, and print its report as the last line."""
    parser = argparse.ArgumentParser()
    for name in ("url", "key", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--picture", required=True, type=Path)
    report = Report()
    program(Given(**vars(parser.parse_args())), report)
    sys.stdout.write("\n" + json.dumps(report.features) + "\n")
