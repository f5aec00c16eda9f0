"""Does in a chroot what deploy/Dockerfile says, and uses the result as a person would. It needs no engine.

Run it as root with ``python -m release.try_image --work FOLDER`` (``--target small`` for the other image). It
makes the base with debootstrap, runs each stage in overlay mounts, prints the size of every layer, and starts
the image as its user, without privileges, on a read-only root with one volume, in a network that has only
loopback: it indexes and finds a picture, waits for the health check, asks Smallsight-tiny, stops the server.

Docker's own parts are not tested: its parser, its cache, its registry, and its default system-call filter.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import fnmatch
import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from release.dockerfile import needed_stages, read_dockerfile
from release.image_layers import (
    NEW_MOUNTS,
    NEW_NETWORK,
    Image,
    Layer,
    build,
    drop_rights,
    enter_namespace,
    mounted,
)
from release.pins import ROOT

_MEME = ROOT / "examples" / "pictures" / "memes" / "IMG_2041.jpg"
_STICKER = ROOT / "examples" / "stickers" / "sticker_5.png"
# What Debian's own images in their variant "slim" leave out of every package.
_LEFT_OUT = ("doc", "info", "linda", "lintian", "locale", "man")
_HEALTHY_WITHIN_S = 120.0
# Only the volume can be written to, and no capability is left.
_WRITES = """
import os, pathlib, ssl
for place in ("/", "/opt/smallsight", "/usr", "/tmp"):
    try:
        pathlib.Path(place, "written").touch()
    except OSError:
        continue
    raise SystemExit(f"{place} can be written to")
pathlib.Path("/data/written").touch()
pathlib.Path("/data/written").unlink()
status = pathlib.Path("/proc/self/status").read_text().splitlines()
rights = [line.split() for line in status if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))]
print(os.getuid(), *(word for line in rights for word in line))
if not ssl.create_default_context().cert_store_stats()["x509_ca"]:
    raise SystemExit("There are no certificate authorities.")
"""


def make_base(work: Path, release: str) -> Layer:
    """Return the smallest installation of a Debian release, made once, as its image "slim" is."""
    folder = work / f"base-{release}"
    if not folder.exists():
        unfinished = work / f"base-{release}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", release, str(unfinished)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        rules = "".join(f"path-exclude /usr/share/{name}/*\n" for name in _LEFT_OUT)
        (unfinished / "etc/dpkg/dpkg.cfg.d/docker").write_text(
            f"force-unsafe-io\n{rules}path-include /usr/share/doc/*/copyright\n", encoding="ascii"
        )
        for name in _LEFT_OUT:
            for path in sorted((unfinished / "usr/share" / name).rglob("*"), reverse=True):
                if path.is_symlink() or path.is_file():
                    if path.name != "copyright":
                        path.unlink()
                elif not any(path.iterdir()):
                    path.rmdir()
        for pattern in ("var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*"):
            for path in unfinished.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        unfinished.rename(folder)
    return Layer(f"FROM debian:{release}-slim, from debootstrap", folder, release)


def make_context(work: Path) -> Path:
    """Copy the files that .dockerignore lets through."""
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    kept = [line[1:] for line in rules if line.startswith("!")]
    dropped = [line for line in rules if line != "*" and not line.startswith("!")]
    context = work / "context"
    shutil.rmtree(context, ignore_errors=True)

    def ignored(folder: str, names: list[str]) -> set[str]:
        paths = {name: os.path.relpath(Path(folder, name), ROOT) for name in names}
        return {
            name
            for name, path in paths.items()
            if any(fnmatch.fnmatch(path, rule) or fnmatch.fnmatch("/" + path, rule) for rule in dropped)
        }

    for name in kept:
        target = context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=ignored, symlinks=True)
        else:
            shutil.copy2(ROOT / name, target)
    return context


def build_target(target: str, work: Path, certificates: Path | None) -> Image:
    """Do every stage that a target needs; print how long each took."""
    stages = read_dockerfile(ROOT / "deploy" / "Dockerfile")
    context = make_context(work)
    images: dict[str, Image] = {}
    for name in needed_stages(stages, target):
        began_s = time.monotonic()
        base = stages[name].base
        if base == "scratch":
            images[base] = Image(())
        elif base not in stages and base not in images:
            release = base.removeprefix("debian:").removesuffix("-slim")
            images[base] = Image((make_base(work, release),))
        images[name] = build(stages[name], images, context, work, certificates)
        print(f"stage {name}: {time.monotonic() - began_s:.0f} s")
    return images[target]


def print_sizes(image: Image) -> int:
    """Print each layer in megabytes; return the sum in bytes."""
    sizes = [(one.size_bytes(), one.step) for one in image.layers]
    for size_bytes, step in sizes:
        print(f"{size_bytes / 1e6:8.1f} MB  {step[:90]}")
    total = sum(size_bytes for size_bytes, _ in sizes)
    print(f"{total / 1e6:8.1f} MB  in all, not compressed")
    return total


@dataclass(frozen=True, slots=True)
class Container:
    """A read-only root with the image's user, its one volume, and some pictures."""

    image: Image
    root: Path

    def start(self, words: tuple[str, ...], **streams: Any) -> subprocess.Popen[str]:  # noqa: ANN401 - Popen's own
        """Start a program as the image's user, who cannot get any right back. No threads run meanwhile."""
        return subprocess.Popen(
            words,
            env=dict(self.image.variables),
            preexec_fn=self._enter,  # noqa: PLW1509
            text=True,
            **streams,
        )

    def _enter(self) -> None:
        """Become the image's user inside its root; runs in the new process."""
        os.chroot(self.root)
        os.chdir(self.image.folder)
        user, group = (int(one) for one in self.image.user.split(":"))
        drop_rights(user, group)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run a program and return its exit code, output and errors."""
        pipe = subprocess.PIPE
        with self.start(words, stdout=pipe, stderr=pipe) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def smallsight(self, *words: str) -> str:
        """Run our program and return what it printed."""
        code, out, err = self.run(*self.image.entrypoint, *words)
        if code != 0:
            raise SystemExit(f"smallsight {' '.join(words)}: exit code {code}\n{err}")
        return out


@contextmanager
def container(image: Image, work: Path) -> Iterator[Container]:
    """Mount an image read-only, with an empty volume for its data and a folder of pictures."""
    data, pictures = work / "data", work / "pictures"
    shutil.rmtree(data, ignore_errors=True)
    shutil.rmtree(pictures, ignore_errors=True)
    data.mkdir(mode=0o700)
    os.chown(data, *(int(one) for one in image.user.split(":")))
    pictures.mkdir(exist_ok=True)
    shutil.copy2(_MEME, pictures)
    with mounted((*image.layers, _mount_points(work)), work / f"container-{os.getpid()}") as root:
        subprocess.run(["mount", "--bind", str(data), f"{root}/data"], check=True)
        subprocess.run(["mount", "--bind", "-o", "ro", str(pictures), f"{root}/pictures"], check=True)
        yield Container(image, root)


def _mount_points(work: Path) -> Layer:
    """Return the layer of an engine: folders that something is mounted on."""
    (folder := work / "mount-points").mkdir(exist_ok=True)
    (folder / "pictures").mkdir(exist_ok=True)
    return Layer("mount points", folder)


def use(one: Container, *, finds: str) -> None:
    """Do what a person would do with a new image, and print what came of it."""
    code, found, err = one.run("python", "-c", _WRITES)
    if code != 0:
        raise SystemExit(f"The root is not as it should be: {found}{err}")
    print(f"user and rights: {found.strip()}")
    print(one.smallsight("--version").strip())
    began_s = time.monotonic()
    one.smallsight("index", "--quiet", "/pictures")
    found = json.loads(one.smallsight("search", "--json", finds))
    print(f"index one picture: {time.monotonic() - began_s:.1f} s; {finds!r} finds {len(found)}")
    key = json.loads(
        one.smallsight("keys", "add", "trial", "--scope", "use", "--scope", "monitor", "--json")
    )["key"]
    began_s = time.monotonic()
    with one.start((*one.image.entrypoint, *one.image.command), stderr=sys.stderr) as server:
        while one.run(*one.image.health)[0] != 0:
            if server.poll() is not None or time.monotonic() > began_s + _HEALTHY_WITHIN_S:
                server.kill()
                raise SystemExit(f"The server is not healthy; exit code {server.poll()}.")
        print(f"healthy after {time.monotonic() - began_s:.1f} s")
        health = json.load(fetch("/health", key))
        print(f"restrictions of the decoder that are missing: {health['missing_restrictions']}")
        print(f"Smallsight-tiny: {ask(key)}")
        server.send_signal(signal.SIGTERM)
        print(f"stopped with exit code {server.wait(60)}")
    if server.returncode != 0:
        raise SystemExit("The server did not stop well.")


def ask(key: str) -> str:
    """Ask the server of the container what is in a picture."""
    picture = "data:image/png;base64," + base64.b64encode(_STICKER.read_bytes()).decode()
    content = [
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "text", "text": "What is this?"},
    ]
    body = {"model": "Smallsight-tiny", "messages": [{"role": "user", "content": content}]}
    text: str = json.load(fetch("/v1/chat/completions", key, body))["choices"][0]["message"]["content"]
    return text


def fetch(path: str, key: str, body: dict[str, Any] | None = None) -> IO[bytes]:
    """Return the server's answer to a request with a key."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:8420{path}", data, headers)
    answer: IO[bytes] = urllib.request.urlopen(request, timeout=120)
    return answer


def raise_loopback() -> None:
    """Switch on the loopback interface of a new network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        flags = struct.pack("16sh14x", b"lo", 0x1)  # IFF_UP
        fcntl.ioctl(one, 0x8914, flags)  # SIOCSIFFLAGS


def main() -> None:
    """Build a target and use it; exit with 1 and a sentence if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--work", type=Path, required=True, help="folder for layers: several gigabytes")
    parser.add_argument("--target", default="full", choices=("full", "small"))
    parser.add_argument("--limit-mb", type=int, help="exit with 1 if the image is larger")
    parser.add_argument("--certificates", type=Path, help="more certificate authorities, while it is built")
    options = parser.parse_args()
    work: Path = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    print(f"{platform.machine()}, {options.target}")
    enter_namespace(NEW_MOUNTS)
    image = build_target(options.target, work, options.certificates)
    total = print_sizes(image)
    enter_namespace(NEW_NETWORK)
    raise_loopback()
    with container(image, work) as one:
        use(one, finds="monday" if options.target == "full" else "folder:pictures")
    if options.limit_mb is not None and total > options.limit_mb * 1e6:
        raise SystemExit(f"The image has more than {options.limit_mb} MB.")


if __name__ == "__main__":
    main()
