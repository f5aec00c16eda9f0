"""Starting has to be quick: what is heavy is loaded by the command that needs it."""

import json
import subprocess
import sys

import pytest
import typer
from PIL import Image

from contract.checkout import ROOT
from smallsight.catalog.text_model import find_text_model
from smallsight.cli.commands import whole_command_line
from smallsight.cli.main import invoke
from smallsight.settings import load_settings

HEAVY = {
    "alembic",
    "cv2",
    "fastapi",
    "httpx2",
    "huggingface_hub",
    "mcp",
    "mcp_types",
    "numpy",
    "openvino",
    "PIL",
    "prometheus_client",
    "rapidocr",
    "rich.progress",
    "sqlalchemy",
    "starlette",
    "tokenizers",
    "torch",
    "transformers",
    "uvicorn",
}


LATER = {"asyncio", "importlib.metadata", "pydantic", "pydantic_settings", "rich", "structlog", "typer"}


def modules_after(program):
    """Run a program in a fresh interpreter and return the modules it left loaded."""
    code = f"import contextlib, io, json, sys\nprogram = {program!r}\n"
    code += "with contextlib.redirect_stdout(io.StringIO()):\n    exec(program)\n"
    code += "print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def paths_of_commands(command, path=()):
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from paths_of_commands(child, (*path, name))


def test_importing_the_package_loads_nothing_heavy():
    assert HEAVY & modules_after("import smallsight") == set()


def test_help_of_every_command_loads_nothing_heavy():
    paths = list(paths_of_commands(typer.main.get_command(whole_command_line())))
    assert len(paths) > 10
    program = "from smallsight.cli.main import invoke\n"
    program += f"for path in {paths!r}: assert invoke([*path, '--help']) == 0, path\n"
    assert HEAVY & modules_after(program) == set()


def test_asking_for_the_version_loads_nothing_heavy():
    assert HEAVY & modules_after("from smallsight.cli.main import invoke; invoke(['--version'])") == set()


def test_a_server_loads_the_agents_protocol_with_the_first_request():
    assert {"mcp", "mcp_types"} & modules_after("import smallsight.serve.app") == set()


def test_a_search_loads_what_it_needs_and_no_more(tmp_path, monkeypatch):
    """The first one validates the settings. After it, none needs a parser, a console or a runtime."""
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "pictures" / "lighthouse.png")
    assert invoke(["index", "--quiet", str(tmp_path / "pictures")]) == 0
    program = "from smallsight.cli.main import invoke\nassert invoke(['search', {}'lighthouse']) == 0"
    by_words = program.format("'--mode', 'keyword', ")
    assert "pydantic" in modules_after(by_words)
    assert (HEAVY | LATER) & modules_after(by_words) == set()
    by_meaning = {"numpy"} if find_text_model(load_settings()) is None else {"numpy", "tokenizers"}
    assert (HEAVY | LATER) & modules_after(program.format("")) <= by_meaning


def test_the_children_that_decode_start_without_numpy():
    """One is started for each video, and by most commands."""
    modules = modules_after("import smallsight.media.decode_child, smallsight.media.video_child")
    assert {"numpy", "pydantic"} & modules == set()
    assert "smallsight.media.bmp_pixels" in modules


@pytest.mark.parametrize("name", ["numpy", "rich.progress", "pydantic"])
def test_a_heavy_import_would_be_noticed(name):
    assert name in modules_after(f"import {name}")


def test_the_command_answers_ctrl_c_almost_from_the_start():
    # Until ``main`` runs, Ctrl-C is a traceback; importing typing alone would make that four times as long.
    source = (
        f"import io, os, sys; sys.path.insert(0, {str(ROOT / 'src')!r}); known = set(sys.modules); "
        "import smallsight.__main__; print(*set(sys.modules) - known)"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True, check=True)
    loaded = {name for name in ran.stdout.split() if not name.startswith("smallsight")}
    assert loaded <= {"__future__", "openvino_telemetry"}
