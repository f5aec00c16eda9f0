"""Does what the stages of a Dockerfile say in overlay mounts, as a container engine would: a layer a step.

It needs root, and a mount namespace that ends with the process (``enter_namespace``).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from release.dockerfile import Instruction, Stage, read_variables

NEW_MOUNTS, NEW_NETWORK = 0x00020000, 0x40000000  # CLONE_NEWNS, CLONE_NEWNET
_DROP_FROM_BOUNDING_SET, _NO_NEW_PRIVILEGES = 24, 38  # PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Layer:
    """What one step has written. Its key tells whether a later run may take it again."""

    step: str
    folder: Path
    key: str = ""

    def size_bytes(self) -> int:
        """Return the size of its files; a hard link counts once."""
        done = subprocess.run(
            ["du", "--summarize", "--apparent-size", "--block-size=1", str(self.folder)],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout.split()[0])


@dataclass(frozen=True, slots=True)
class Image:
    """A finished stage: its layers from the lowest, and what applies to a container of it."""

    layers: tuple[Layer, ...]
    variables: tuple[tuple[str, str], ...] = (("PATH", _PATH),)
    user: str = "0:0"
    folder: str = "/"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()


def enter_namespace(kind: int) -> None:
    """Give this process a separate set of mounts, or a network with nothing but a loopback interface."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(kind) != 0:
        raise OSError(ctypes.get_errno(), "unshare: a separate namespace is refused here")
    if kind == NEW_MOUNTS:
        _run("mount", "--make-rprivate", "/")


def drop_rights(user: int, group: int) -> None:
    """Become a user without rights and without a way to get any, as containers with ``cap_drop: [ALL]``."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)  # refused above the last one
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def build(
    stage: Stage, images: dict[str, Image], context: Path, work: Path, certificates: Path | None
) -> Image:
    """Do all instructions of a stage; its base has to be among ``images``. Known layers are taken again."""
    image = images[stage.base]
    for one in stage.instructions:
        if one.name not in {"COPY", "RUN"}:
            image = _configured(image, one)
            continue
        key = _key(image, one, images, context)
        layer = Layer(f"{one.name} {one.text}", work / key / "files", key)
        if not (finished := work / key / "finished").exists():
            shutil.rmtree(work / key, ignore_errors=True)
            layer.folder.mkdir(parents=True)
            if one.name == "RUN":
                _run_step(image, one, layer, work, certificates)
            else:
                _copy(image, one, layer.folder, images, context)
            finished.touch()
        image = replace(image, layers=(*image.layers, layer))
    return image


def _key(image: Image, one: Instruction, images: dict[str, Image], context: Path) -> str:
    """Return a digest of a step, of the layers below it, and of what it copies."""
    below = image.layers[-1].key if image.layers else "scratch"
    digest = hashlib.sha256(f"{below}\n{one.text}\n{image.folder}\n".encode())
    sources = one.text.split()[:-1] if one.name == "COPY" else []
    if sources and sources[0].startswith("--from="):
        digest.update(images[sources.pop(0).removeprefix("--from=")].layers[-1].key.encode())
        sources = []
    for source in sources:
        found = context / source
        for path in sorted(found.rglob("*")) if found.is_dir() else [found]:
            if path.is_file():
                digest.update(f"{path.relative_to(context)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _configured(image: Image, one: Instruction) -> Image:
    """Return an image with what an instruction says about its containers."""
    if one.name == "ENV":
        variables = dict(image.variables)
        return replace(image, variables=tuple({**variables, **read_variables(one.text, variables)}.items()))
    if one.name == "HEALTHCHECK":
        return replace(image, health=tuple(one.as_list()))
    if one.name == "CMD":
        return replace(image, command=tuple(one.as_list()))
    if one.name == "ENTRYPOINT":
        return replace(image, entrypoint=tuple(one.as_list()))
    if one.name == "USER":
        return replace(image, user=one.text)
    if one.name == "WORKDIR":
        return replace(image, folder=one.text)
    return image  # EXPOSE and VOLUME


def _copy(image: Image, one: Instruction, layer: Path, images: dict[str, Image], context: Path) -> None:
    """Copy files of the context, which .dockerignore has reduced, or a folder of another stage."""
    *sources, target = one.text.split()
    place = layer / str(PurePosixPath("/", image.folder, target)).lstrip("/")
    if sources[0].startswith("--from="):
        place.mkdir(parents=True, exist_ok=True)
        with mounted(
            images[sources[0].removeprefix("--from=")].layers, layer.parent.parent / "source"
        ) as root:
            _run("cp", "--archive", f"{root}{sources[1]}/.", str(place))
        return
    place.mkdir(parents=True, exist_ok=True)
    for source in sources:
        if (context / source).is_dir():
            shutil.copytree(context / source, place, dirs_exist_ok=True, symlinks=True)
        else:
            shutil.copy2(context / source, place)


def _run_step(image: Image, one: Instruction, layer: Layer, work: Path, certificates: Path | None) -> None:
    """Run a RUN line as root in a writable layer over the others, with this machine's network."""
    with mounted(image.layers, work / "root", upper=layer.folder) as root:
        _run("mount", "--bind", "/etc/resolv.conf", f"{root}/etc/resolv.conf")
        _run("mount", "-t", "tmpfs", "tmpfs", f"{root}/run")
        variables = {**dict(image.variables), "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        if certificates is not None:
            shutil.copy(certificates, root / "run" / "certificates.pem")
            variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT"), "/run/certificates.pem")
        (root / image.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        line = f"cd {shlex.quote(image.folder)} && {one.text}"
        subprocess.run(
            ["chroot", str(root), "/bin/sh", "-c", line], env=variables, check=True, stdout=subprocess.DEVNULL
        )


@contextmanager
def mounted(layers: tuple[Layer, ...], place: Path, *, upper: Path | None = None) -> Iterator[Path]:
    """Mount layers on a folder, with ``upper`` on top if something is to be written; else read-only."""
    place.mkdir(parents=True, exist_ok=True)
    lower = [str(one.folder) for one in reversed(layers)]
    if upper is None:
        (empty := place.parent / "empty").mkdir(exist_ok=True)  # one layer alone is not accepted
        options = f"ro,lowerdir={':'.join([*lower, str(empty)])}"
    else:
        (spare := place.parent / "spare").mkdir(exist_ok=True)
        options = f"lowerdir={':'.join(lower)},upperdir={upper},workdir={spare}"
    _run("mount", "-t", "overlay", "overlay", "-o", options, str(place))
    try:
        if os.access(place / "proc", os.F_OK):
            _run("mount", "-t", "proc", "proc", str(place / "proc"))
            _run("mount", "-t", "sysfs", "-o", "ro", "sysfs", str(place / "sys"))
            _mount_devices(place / "dev")
        yield place
    finally:
        _run("umount", "--recursive", "--lazy", str(place))


def _mount_devices(place: Path) -> None:
    """Mount the few devices that containers have."""
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(place))
    for name in ("null", "zero", "full", "random", "urandom"):
        (place / name).touch()
        _run("mount", "--bind", f"/dev/{name}", str(place / name))
    (place / "shm").mkdir(mode=0o1777)
    _run("mount", "-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", str(place / "shm"))
    (place / "fd").symlink_to("/proc/self/fd")


def _run(*words: str) -> None:
    subprocess.run(words, check=True)
