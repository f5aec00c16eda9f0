"""Nothing is sent anywhere: commands and the server try no connection but to this machine (R24, R10)."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from .serving import about, data_url, running

CALLS = "connect,sendto,sendmsg,sendmmsg"
TRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={CALLS}", "-o")
LOOPBACK = re.compile(r'inet_addr\("127\.|"::1"|sin6_addr=::1')

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace shows the attempts")


def outbound(trace: Path) -> list[str]:
    """Return every attempt to reach another machine, a name server among them, from a trace."""
    lines = trace.read_text(errors="replace").splitlines()
    return [line for line in lines if "AF_INET" in line and not LOOPBACK.search(line)]


def run(home: Path, prefix: Sequence[str], commands: Sequence[Sequence[str]]) -> str:
    """Run commands one after another in one process, begun with a prefix; return what they printed."""
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    environment.pop("HF_HUB_OFFLINE", None)  # not because somebody turned downloads off
    program = f"from smallsight.cli.main import invoke\nprint([invoke(one) for one in {commands!r}])"
    done = subprocess.run(
        [*prefix, sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    codes = ast.literal_eval(done.stdout.splitlines()[-1])
    assert len(codes) == len(commands)
    assert {*codes} <= {0, 5}, done.stderr  # 5: doctor where something is missing
    assert {*codes[:-1]} <= {0}, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_attempt_would_be_seen(tmp_path: Path):
    program = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    subprocess.run([*TRACE, str(tmp_path / "trace"), sys.executable, "-c", program], check=False)
    assert len(outbound(tmp_path / "trace")) == 1


@pytest.mark.slow
def test_indexing_describing_and_searching_try_nothing(
    tmp_path: Path, draw_text: Callable[[Path, str], None]
):
    home, pictures = tmp_path / "home", tmp_path / "pictures"
    draw_text(pictures / "a.png", "seventeen lanterns")
    draw_text(pictures / "http://192.0.2.1/b.png", "https://192.0.2.1/track.png")
    commands = [
        ["index", str(pictures), "--model", "Smallsight-tiny"],
        ["search", "lanterns"],
        ["describe", str(pictures / "a.png")],
        ["library", "check"],
        ["doctor"],
    ]
    printed = run(home, [*TRACE, str(tmp_path / "trace")], commands)
    assert "a.png" in printed
    assert outbound(tmp_path / "trace") == []


@pytest.mark.slow
def test_a_server_tries_nothing_by_default(tmp_path: Path):
    trace = tmp_path / "trace"
    with running(tmp_path / "home", prefix=[*TRACE, str(trace)]) as server:
        assert server.ask(model="test", messages=about(data_url())).status_code == 200
        assert server.ask(model="Smallsight-tiny", messages=about(data_url())).status_code == 200
        for url in (
            "http://192.0.2.1/a.png",
            "https://public.example/a.png",
            "http://localhost:9/",
            "//b.example",
        ):
            assert server.ask(model="test", messages=about(url)).status_code == 400
        for path in ("/", "/docs", "/openapi.json", "/metrics", "/health", "/v1/models"):
            assert server.http.get(path).status_code == 200
    assert outbound(trace) == []


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run(["unshare", "-rn", "true"], check=False).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="no network namespaces for this user",
)
def test_everything_works_without_a_network(tmp_path: Path, draw_text: Callable[[Path, str], None]):
    draw_text(tmp_path / "pictures" / "a.png", "seventeen lanterns")
    commands = [
        ["index", str(tmp_path / "pictures"), "--model", "Smallsight-tiny"],
        ["search", "lanterns"],
    ]
    assert "a.png" in run(tmp_path / "home", ["unshare", "-rn"], commands)
