"""Ray: two nodes made of processes on this machine, workers that are killed, and the server in replicas."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from forked_commands import run_command
from free_ports import free_port
from running_threads import cores_of_running_threads
from smallsight.errors import ArgumentError
from smallsight.http.api_keys import DEFAULT_SCOPES, ApiKeys

from .conftest import Command
from .serving import running

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402 - after the check that it is there

import smallsight.ray as cluster_parts  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")

NUM_PICTURES = 90
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES, DOCUMENT = ROOT / "examples", ROOT / "docs" / "ray.md"
TINY = ("--model", "Smallsight-tiny")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes of two processors each, by their own word; one more home for both."""
    home = tmp_path_factory.mktemp("nodes")
    names = {"SMALLSIGHT_HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in names.items():
            patch.setenv(name, value)
        args = {"num_cpus": 2, "object_store_memory": 100 * 1024**2}
        nodes = Cluster(initialize_head=True, head_node_args={**args, "include_dashboard": False})
        try:
            nodes.add_node(**args)
            nodes.wait_for_nodes()
            yield nodes
        finally:
            ray.shutdown()
            nodes.shutdown()


@pytest.fixture
def connected(cluster: Cluster) -> Iterator[None]:
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Different pictures, a copy of one of them, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures") / "album"
    folder.mkdir()
    drawn = sorted((EXAMPLES / "stickers").glob("*.png"))
    for number in range(NUM_PICTURES):
        with Image.open(drawn[number % len(drawn)]) as image:
            image.convert("RGB").resize((96 + number, 96)).save(folder / f"{number:03}.png")
    (folder / "copy.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The captions that one process writes."""
    home = tmp_path_factory.mktemp("alone")
    file = home / "captions.parquet"
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    code, _, err = run_command(["caption", str(folder), "--out", str(file), *TINY], environment)
    assert code == 4, err  # of the broken picture
    return file


def workers() -> list[psutil.Process]:
    """Return the processes of actors that have been given something to do."""
    running = psutil.process_iter(["cmdline"])
    return [one for one in running if "ray::CaptioningActor" in " ".join(one.info["cmdline"] or ())]


def test_two_machines_write_the_bytes_that_one_process_writes(
    cluster: Cluster, folder: Path, alone: Path, tmp_path: Path, smallsight: Command
):
    file = tmp_path / "captions.parquet"
    counts = smallsight.json(
        "caption", folder, "--out", file, *TINY, "--ray", cluster.address, "--ray-cpus", "2", code=4
    )
    assert (counts["rows"], counts["described"], counts["copies"]) == (NUM_PICTURES + 2, NUM_PICTURES, 1)
    assert file.read_bytes() == alone.read_bytes()


@pytest.mark.slow
def test_workers_may_use_every_core(cluster: Cluster, folder: Path, tmp_path: Path, smallsight: Command):
    """Each worker's OpenVINO pinned its threads to the first cores, which all workers then shared."""
    settings = Path(os.environ["SMALLSIGHT_HOME"], "smallsight.toml")  # of the nodes
    settings.write_text("kernels = false\n", encoding="utf-8")
    arguments = ["caption", folder, "--out", tmp_path / "captions.jsonl", *TINY, "--ray", cluster.address]
    command = [sys.executable, "-m", "smallsight", *map(str, arguments), "--ray-cpus", "1", "--quiet"]
    running = subprocess.Popen(command, env=smallsight.environment(), stderr=subprocess.DEVNULL)
    seen: Counter[frozenset[int]] = Counter()
    found: list[psutil.Process] = []
    looked_s = 0.0
    try:
        while running.poll() is None:
            if time.monotonic() > looked_s + 0.5:  # at all processes, which takes long
                found, looked_s = workers(), time.monotonic()
            for worker in found:
                seen.update(cores_of_running_threads(worker.pid))
            time.sleep(0.01)
    finally:
        running.kill()
        settings.unlink()
    assert running.returncode == 4  # of the broken picture
    # The runtime pins threads for some milliseconds while it starts.
    assert seen[frozenset(os.sched_getaffinity(0))] > 0.9 * seen.total(), seen


def test_a_killed_worker_loses_and_doubles_nothing(
    cluster: Cluster, folder: Path, alone: Path, tmp_path: Path, smallsight: Command
):
    file = tmp_path / "captions.parquet"
    log = tmp_path / "captions.parquet.progress.jsonl"
    arguments = [
        "caption",
        folder,
        "--out",
        file,
        *TINY,
        "--ray",
        cluster.address,
        "--ray-cpus",
        "2",
        "--quiet",
    ]
    err = tmp_path / "err"
    with err.open("wb") as told:
        command = [sys.executable, "-m", "smallsight", *map(str, arguments)]
        running = subprocess.Popen(command, env=smallsight.environment(), stderr=told)
    killed = 0
    while running.poll() is None:
        lines = log.read_bytes().count(b"\n") if log.exists() else 0
        if lines > 1 and killed == 0 and (found := workers()):
            found[0].send_signal(signal.SIGKILL)
            killed = 1
        time.sleep(0.02)
    assert (killed, running.returncode) == (1, 4), err.read_text()
    described = [json.loads(line)["sha256"] for line in log.read_text(encoding="ascii").splitlines()]
    assert len(described) == len(set(described)) == NUM_PICTURES + 1
    assert file.read_bytes() == alone.read_bytes()


def test_an_address_without_a_cluster_is_one_sentence(smallsight: Command, folder: Path, tmp_path: Path):
    out = tmp_path / "captions.parquet"
    code, _, err = run_command(
        ["caption", str(folder), "--out", str(out), *TINY, "--ray", "127.0.0.1:9"], smallsight.environment()
    )
    assert code == 6
    assert "There is no Ray cluster at 127.0.0.1:9." in err
    assert "Traceback" not in err


def test_a_model_that_no_machine_has_room_for_is_one_sentence(
    cluster: Cluster, folder: Path, tmp_path: Path, smallsight: Command
):
    arguments = ["caption", folder, "--out", tmp_path / "captions.parquet", *TINY]
    arguments += ["--ray", cluster.address, "--ray-cpus", "64"]
    code, _, err = run_command([*map(str, arguments)], smallsight.environment())
    assert code == 6
    assert "No machine of the cluster has 64 processors" in err


@pytest.mark.slow
@pytest.mark.usefixtures("connected")
def test_the_pipeline_of_the_document_continues_at_its_checkpoint(folder: Path, alone: Path, tmp_path: Path):
    """The first run sees half of the pictures; the second, with all of them, describes only the others."""
    half, out = tmp_path / "album", tmp_path / "rows"
    half.mkdir()
    for path in sorted(folder.iterdir())[: NUM_PICTURES // 2]:
        (half / path.name).write_bytes(path.read_bytes())
    pipeline, checkpoint = block_with("smallsight.ray.Describe"), block_with("CheckpointConfig(")
    changed = {
        "SmolVLM-256M-Instruct-int8": "Smallsight-tiny",
        "shards=64": "shards=4",
        "max_size=32": "max_size=1",
        "/shared/captions": str(out),
        "/shared/checkpoint": str(tmp_path / "checkpoint"),
    }
    keeps = checkpoint.replace(
        '/shared/checkpoint")', '/shared/checkpoint", delete_checkpoint_on_success=False)'
    )
    run_block("import ray\n" + keeps, changed)
    try:
        run_block(pipeline, {**changed, "/shared/pictures": str(half)})
        before = rows_in(out)
        assert len(before) == NUM_PICTURES // 2
        run_block(pipeline, {**changed, "/shared/pictures": str(folder)})
    finally:
        ray.data.DataContext.get_current().checkpoint_config = None
    after = rows_in(out)
    assert len({row["id"] for row in after}) == len(after) == NUM_PICTURES + 2
    expected = {row["key"]: (row["caption"], row["error"]) for row in pq.read_table(alone).to_pylist()}
    assert {row["key"]: (row["caption"], row["error"]) for row in after} == expected
    assert all(row["colour"] for row in after if row["error"] is None)


@pytest.mark.usefixtures("connected")
def test_a_pipeline_of_ray_data_asks_a_server_as_the_document_says(folder: Path, alone: Path, tmp_path: Path):
    out = tmp_path / "rows"
    key = ApiKeys(tmp_path / "home" / "api-keys.json").add("ray", DEFAULT_SCOPES)
    with running(tmp_path / "home", "--model", "Smallsight-tiny") as server:
        changed = {
            "http://10.0.0.5:8420": server.url,
            "ss-KEY": key,
            "SmolVLM-256M-Instruct-int8": "Smallsight-tiny",
            "/shared/pictures": str(folder),
            "/shared/captions": str(out),
            "concurrency=8": "concurrency=2",
        }
        run_block(block_with("HttpRequestProcessorConfig("), changed)
    found = {Path(row["path"]).name: (row["caption"], row["error"]) for row in rows_in(out)}
    assert len(found) == len(rows_in(out)) == NUM_PICTURES + 2
    expected = {row["key"]: (row["caption"], row["error"]) for row in pq.read_table(alone).to_pylist()}
    assert found.pop("broken.jpg")[1].startswith(expected.pop("broken.jpg")[1])
    assert found == expected


def block_with(words: str) -> str:
    """Return the Python block of the document that has these words."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if words in block)
    return found


def run_block(block: str, changed: dict[str, str]) -> None:
    """Run a block of a document with other names in it."""
    for old, new in changed.items():
        block = block.replace(old, new)
    exec(compile(block, str(DOCUMENT), "exec"), {})


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


@pytest.mark.usefixtures("connected")
def test_replicas_of_the_server_answer_questions_about_pictures():
    from ray import serve  # warns, which is an error before a test has begun

    picture = base64.b64encode((EXAMPLES / "stickers" / "sticker_2.png").read_bytes()).decode()
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    message = {"role": "user", "content": [shown, {"type": "text", "text": "What is this?"}]}
    line = re.search(r"^serve run smallsight.ray:openai_app (.*)$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert line is not None
    written = dict(one.split("=") for one in line[1].split())
    wanted = {**written, "model": "Smallsight-tiny", "replicas": "2", "num_cpus": "1"}
    assert wanted.keys() == written.keys()
    port = free_port()
    serve.start(http_options={"port": port, "host": "127.0.0.1"})
    try:
        serve.run(cluster_parts.openai_app(wanted))
        deployed = serve.status().applications["default"].deployments["smallsight"]
        assert dict(deployed.replica_states) == {"RUNNING": 2}
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            for _ in range(4):
                body = {"model": "Smallsight-tiny", "messages": [message]}
                answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
                assert "owl" in answer["choices"][0]["message"]["content"]
            streamed = client.post("/v1/chat/completions", json={**body, "stream": True})
            assert streamed.text.rstrip().endswith("data: [DONE]")
            foreign = client.get("/v1/models", headers={"Host": "example.org"})
            assert foreign.status_code == 400
    finally:
        serve.shutdown()


def test_arguments_that_the_server_does_not_have_are_named():
    with pytest.raises(ArgumentError, match="replica: ") as raised:
        cluster_parts.openai_app({"model": "Smallsight-tiny", "replica": "2"})
    assert "replicas" in (raised.value.hint or "")
