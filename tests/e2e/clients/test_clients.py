"""Client packages that people use, each as its documentation says, against a real server with a key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.clients.client_records import ClientRecord, problems, read_clients, reported_by
from e2e.serving import running
from smallsight import open_library
from smallsight.http.api_keys import DEFAULT_SCOPES, ApiKeys

ROOT = Path(__file__).resolve().parents[3]
PICTURE = ROOT / "examples" / "stickers" / "sticker_2.png"
INSTALLED = Path(os.environ.get("SMALLSIGHT_TEST_CLIENTS", ROOT / ".make" / "clients"))
PYTHON = INSTALLED / "bin" / "python"
MODEL = "Smallsight-tiny"

needs_clients = pytest.mark.skipif(not PYTHON.exists(), reason="`make test-all` installs the clients")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server that has a key, a model and a library of one picture, as arguments of the programs."""
    folder = tmp_path_factory.mktemp("clients")
    home = folder / "home"
    (folder / "pictures").mkdir()
    (folder / "pictures" / PICTURE.name).write_bytes(PICTURE.read_bytes())
    with open_library(home, index={"ocr": False}) as library:
        library.index(folder / "pictures")
    key = ApiKeys(home / "api-keys.json").add("clients", DEFAULT_SCOPES)
    with running(home, "--model", MODEL) as server:
        yield {"url": server.url, "key": key, "model": MODEL, "picture": str(PICTURE)}


@pytest.mark.slow
@needs_clients
@pytest.mark.parametrize("client", read_clients("python"), ids=lambda one: one.name)
def test_a_client_does_what_the_table_says(client: ClientRecord, given: dict[str, str], tmp_path: Path):
    report = reported_by(client, [PYTHON], tmp_path, given)
    assert problems(client, report) == []


def test_a_difference_from_the_record_would_be_noticed():
    client = ClientRecord("one", "one", "python", "Ollama", "one.py", features=("picture", "stream"))
    client = replace(client, cannot={"tools": "No tools."}, says={"tools": "too long"})
    fine = {
        "picture": {"ok": True, "said": "an owl"},
        "stream": {"ok": True, "said": "an owl"},
        "tools": {"ok": False, "said": "Error: The prompt is too long."},
    }
    assert problems(client, fine) == []
    for name, told in (
        ("picture", {"ok": False, "said": "Error: 400"}),
        ("tools", {"ok": True, "said": "an owl"}),
        ("tools", {"ok": False, "said": "Error: 500"}),
        ("stream", None),
        ("models", {"ok": True, "said": "one"}),
    ):
        (problem,) = problems(client, fine | {name: told})
        assert problem.startswith(f"{name}: ")
