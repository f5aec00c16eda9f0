"""How many of Smallsight's own functions one chat request and one indexed picture call, and in which files.

Counts calls in this process, in all threads, of functions whose file is in the package; neither functions of
other packages nor child processes count. Resuming a generator or a coroutine is not a call; ``entries``
counts those too. Each token of an answer costs calls, so both answers are cut after ``--tokens``. Two chat
requests of the same shape with other pictures warm the model and the decoders before the one that is counted,
and another picture is indexed before the one that is counted. It runs against any source tree since 0.2:
PYTHONPATH=OTHER/src chooses one.

Run: python benchmarks/journey_calls.py [--precision fp32] [--tokens 6] [--json FILE] [--top 20]
"""

from __future__ import annotations

import argparse
import base64
import importlib
import io
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from PIL import Image, ImageDraw
from starlette.testclient import TestClient

import smallsight
from smallsight.services.indexing import IndexingApplication
from smallsight.services.live_settings import LiveSettings
from smallsight.services.logs import configure_logging
from smallsight.services.serving import Serving
from smallsight.settings import load_settings

MODEL = "Smallsight-tiny"
PACKAGE_DIR = str(Path(smallsight.__file__).parent) + "/"
APP_MODULES = ("smallsight.serve.app", "smallsight.server.app")  # today's name, the one of 0.2
SIDE_PX = 512
FORMAT = "PNG"  # of the pictures; stored thumbnails, which the search for copies compares, are WebP
FROM_THE_START = 0  # the argument of the instruction RESUME; others mean after a yield or an await


@dataclass
class Counts:
    """What was called while counting was on.

    ``decodes`` are pictures that a child process decoded, by format; ``opens`` are of files, by name without
    folders, because a picture is opened relative to its open folder.
    """

    by_function: Counter[CodeType] = field(default_factory=Counter)
    entries: int = 0
    decodes: Counter[str] = field(default_factory=Counter)
    opens: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self.by_function.total()

    def as_data(self) -> dict[str, Any]:
        """Return plain data, with the functions and folders that were called most."""
        by_folder, by_name = Counter[str](), Counter[str]()
        for code, calls in self.by_function.items():
            by_name[_name(code)] += calls  # comprehensions of one function share a name
            by_folder[str(Path(code.co_filename[len(PACKAGE_DIR) :]).parent)] += calls
        return {
            "calls": self.calls,
            "entries": self.entries,
            "functions": len(self.by_function),
            "files": len({code.co_filename for code in self.by_function}),
            "decodes": self.decodes[FORMAT],
            "thumbnail_decodes": self.decodes.total() - self.decodes[FORMAT],
            "folders": dict(by_folder.most_common()),
            "most_called": dict(by_name.most_common()),
        }


class CallCounter:
    """Counts in this thread and in every thread started after it was made, while it is switched on."""

    def __init__(self) -> None:
        self._counts: Counts | None = None
        sys.addaudithook(self._on_event)
        threading.setprofile(self._on_call)
        sys.setprofile(self._on_call)

    @contextmanager
    def counting(self) -> Iterator[Counts]:
        """Count what happens inside the block."""
        counts = self._counts = Counts()
        try:
            yield counts
        finally:
            self._counts = None

    def _on_call(self, frame: FrameType, event: str, _: object) -> None:
        counts = self._counts
        if counts is None or event != "call" or not frame.f_code.co_filename.startswith(PACKAGE_DIR):
            return
        counts.entries += 1
        code = frame.f_code
        if code.co_code[frame.f_lasti + 1] == FROM_THE_START:
            counts.by_function[code] += 1
            if code.co_name == "exchange" and "format" in (header := frame.f_locals.get("header") or {}):
                counts.decodes[header["format"]] += 1

    def _on_event(self, event: str, details: tuple[Any, ...]) -> None:
        counts = self._counts
        if counts is not None and event == "open":
            counts.opens[Path(str(details[0])).name] += 1


def main() -> None:
    """Count both journeys, print them, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--top", type=int, default=20, help="how many of the most called functions to name")
    parser.add_argument("--tokens", type=int, default=6, help="the length of both answers")
    parser.add_argument("--precision", default="auto", help="fp32 is what every processor runs")
    arguments = parser.parse_args()
    configure_logging("warning", "json")
    counter = CallCounter()
    with tempfile.TemporaryDirectory() as place:
        journeys = {
            "chat": count_chat(counter, Path(place) / "chat", arguments.precision, arguments.tokens),
            "index": count_index(counter, Path(place) / "index", arguments.precision, arguments.tokens),
        }
    for name, counts in journeys.items():
        print(f"{name}: " + ", ".join(f"{v} {k}" for k, v in counts.items() if isinstance(v, int)))
        for kind in ("folders", "most_called"):
            most = list(counts[kind].items())[: arguments.top]
            print(f"  {kind}: " + ", ".join(f"{k} {v}" for k, v in most))
    if arguments.json:
        arguments.json.write_text(json.dumps(journeys, indent=2) + "\n", encoding="utf-8")


def count_chat(counter: CallCounter, home: Path, precision: str, tokens: int) -> dict[str, Any]:
    """Count one request with a new picture to a model that is loaded and has answered one like it."""
    overrides = {"home": home, "active_model": MODEL, "inference": {"dtype": precision}}
    app = importlib.import_module(_app_module()).make_app(Serving(LiveSettings(overrides)))
    with TestClient(app.asgi, base_url="http://127.0.0.1") as client:
        for colour in ("red", "blue"):
            _ask(client, colour, tokens)
        with counter.counting() as counts:
            answer = _ask(client, "green", tokens)
    return counts.as_data() | {"answer_tokens": answer["usage"]["completion_tokens"]}


def count_index(counter: CallCounter, home: Path, precision: str, tokens: int) -> dict[str, Any]:
    """Count a run of the indexer that finds one new picture; its models have indexed another one before."""
    folder = home / "pictures"
    folder.mkdir(parents=True)
    settings = load_settings(
        home=home / "data",
        describe={"model": MODEL, "precision": precision, "max_tokens": tokens},
        log_level="warning",
    )
    with IndexingApplication(settings) as application:
        (folder / "first.png").write_bytes(picture_bytes("red"))
        application.index([folder], Silence(), lambda: False)
        new = folder / "second.png"
        new.write_bytes(picture_bytes("blue"))
        with counter.counting() as counts:
            report = application.index([folder], Silence(), lambda: False)
        has_reader = application.reader is not None
    assert _num_described(report.work) == 1, "the picture was not described"
    return counts.as_data() | {"reads": counts.opens[new.name], "has_ocr": has_reader}


class Silence:
    """Watches a run of the indexer without saying anything."""

    def begin(self, *_: object, **__: object) -> None:
        """Ignore what begins."""

    def advance(self, *_: object, **__: object) -> None:
        """Ignore how far it is."""

    def end(self) -> None:
        """Ignore what ends."""

    def problem(self, path: str, error: Exception) -> None:
        """Stop: there must be none."""
        raise AssertionError(path) from error

    def stored(self, *_: object, **__: object) -> None:
        """Ignore what is stored."""

    def picture_changed(self, *_: object, **__: object) -> None:
        """Ignore what a scan found."""


def picture_bytes(colour: str) -> bytes:
    """Return a PNG with one word to read in it."""
    image = Image.new("RGB", (SIDE_PX, SIDE_PX), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((100, 200, 400, 450), fill=colour)
    draw.text((120, 60), colour.upper(), fill="black", font_size=72)
    file = io.BytesIO()
    image.save(file, FORMAT)
    return file.getvalue()


def _ask(client: TestClient, colour: str, tokens: int) -> dict[str, Any]:
    address = f"data:image/png;base64,{base64.b64encode(picture_bytes(colour)).decode()}"
    content = [
        {"type": "image_url", "image_url": {"url": address}},
        {"type": "text", "text": "Describe the picture."},
    ]
    body = {"model": MODEL, "max_tokens": tokens, "messages": [{"role": "user", "content": content}]}
    answer = client.post("/v1/chat/completions", json=body)
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()
    return data


def _num_described(work: Any) -> int:  # noqa: ANN401 - one attribute a stage in versions up to 0.2, a mapping since
    by_stage = getattr(work, "stages", None)
    if by_stage is None:
        return int(work.describe.done)
    return sum(int(one.done) for name, one in by_stage.items() if str(name) == "describe")


def _app_module() -> str:
    """Return the name of the module that makes the server's application, today's or the former one."""
    return next(name for name in APP_MODULES if find_spec(name.rpartition(".")[0]) is not None)


def _name(code: CodeType) -> str:
    return f"{code.co_filename[len(PACKAGE_DIR) :]}:{code.co_qualname}"


if __name__ == "__main__":
    main()
