"""Client packages from npm, each as its documentation says, against a real server with a key."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from e2e.clients import test_clients
from e2e.clients.client_records import HERE, ClientRecord, problems, read_clients, reported_by

INSTALLED = Path(os.environ.get("SMALLSIGHT_TEST_NPM_CLIENTS", test_clients.ROOT / ".make" / "clients_js"))
given = test_clients.given


@cache
def why_not() -> str:
    """Return why the programs cannot run here, or nothing."""
    if shutil.which("node") is None:
        return "needs Node.js"
    version = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        return f"needs Node.js 20, and this is {version.strip()}"
    return "" if (INSTALLED / "node_modules").is_dir() else "`make test-all` installs the clients"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs beside the packages: node looks for these from a program's folder upwards."""
    folder = tmp_path_factory.mktemp("js")
    for path in (HERE / "js").glob("*.mjs"):
        shutil.copy(path, folder)
    (folder / "node_modules").symlink_to(INSTALLED / "node_modules")
    return folder


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("client", read_clients("npm"), ids=lambda one: one.name)
def test_a_client_does_what_the_table_says(
    client: ClientRecord, given: dict[str, str], programs: Path, tmp_path: Path
):
    here = replace(client, program=str(programs / Path(client.program).name))
    assert problems(client, reported_by(here, ["node"], tmp_path, given)) == []
