"""Text from requests is never a path: 300 spellings of files of this machine, not one byte of them (R13)."""

from __future__ import annotations

import base64
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from .serving import Server, about, data_url, png, running

SECRET = "canary-5f1c9d"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private")
    (folder / "secret.png").write_bytes(png(7))
    (folder / "secret.txt").write_text(SECRET)
    (folder / "config.json").write_text(f'{{"model_type": "{SECRET}"}}')
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("paths") / "home"
    with running(home, log_level="error", server__picture_hosts='["*"]') as one:
        yield one


def spellings(folder: Path) -> list[str]:
    """Return ways to name the files of a folder, and others that are on every machine."""
    paths = [str(folder / name) for name in ("secret.png", "secret.txt", "config.json")]
    paths += [str(folder), "/etc/passwd", "/proc/self/environ", "/dev/stdin", "/proc/self/fd/0", "/"]
    forms = [
        *(
            "{}",
            "file://{}",
            "file:{}",
            "FILE://{}",
            "file://localhost{}",
            "file://127.0.0.1{}",
            "file:////{}",
        ),
        *(
            "..{}",
            "../../../../../../..{}",
            "./{}",
            "/.{}",
            "//{}",
            "\\\\localhost{}",
            "~/..{}",
            "~root/..{}",
        ),
        *("{}\x00.png", "{}%00.png", "{}#.png", "{}?.png", " {}", "{}/", "{}/.", "{};", "{}\n", "\ufeff{}"),
        *("local:{}", "path:{}", "blob:{}", "fd://{}", "vscode://file{}", "view-source:file://{}"),
        *(
            "data:{}",
            "data:image/png,{}",
            "data:text/plain;file={}",
            "jar:file:{}!/",
            "zip://{}",
            "php://filter{}",
        ),
    ]
    return [form.format(path) for form, path in itertools.product(forms, paths)]


def get(server: Server, path: str) -> bytes:
    """Ask for a path as it is: clients change some."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


@pytest.mark.slow
def test_no_spelling_of_a_path_is_read_as_a_picture(server: Server, folder: Path):
    tried = spellings(folder)
    assert len(tried) >= 300
    wrong = []
    for url in tried:
        answer = server.ask(model="test", messages=about(url))
        if not 400 <= answer.status_code < 500 or SECRET in answer.text:
            wrong.append((url, answer.status_code, answer.text[:200]))
    assert wrong == []


@pytest.mark.slow
def test_no_spelling_of_a_path_is_a_model_or_a_route(server: Server, folder: Path):
    wrong = []
    tried = spellings(folder)[::3]
    for name in tried:
        for path in (f"/v1/models/{quote(name, safe='')}", f"/{quote(name)}", f"/docs/..{quote(name)}"):
            answered = get(server, path)
            if not answered.startswith(b"HTTP/1.1 4") or SECRET.encode() in answered:
                wrong.append((path, answered[:200]))
        answer = server.ask(model=name, messages=about(data_url()))
        if not 400 <= answer.status_code < 500 or SECRET in answer.text:
            wrong.append((name, answer.status_code, answer.text[:200]))
    assert wrong == []


def test_a_name_in_a_data_url_is_a_name(server: Server, folder: Path):
    """The model "test" repeats the words of a picture's name."""
    named = (
        f"data:image/png;name={quote(str(folder / 'secret.txt'))};base64,{base64.b64encode(png()).decode()}"
    )
    answer = server.ask(model="test", messages=about(named))
    assert answer.status_code == 200
    assert SECRET not in answer.text
