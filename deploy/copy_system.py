"""Copies the files of a few Debian packages from a full system into an empty folder: the root of the image.

deploy/Dockerfile calls it. What is left out is most of Debian: shell, package manager, Perl, tools. A program
that takes over the server finds nothing to start, and the image is 60 MB smaller.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# What Python and the libraries inside wheels load; certificates and time zones.
PACKAGES = """
    base-files ca-certificates media-types tzdata
    libbz2-1.0 libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 liblzma5 libncursesw6 libreadline8 libsqlite3-0
    libssl3 libstdc++6 libtinfo6 libuuid1 zlib1g
    libpython3.11-minimal libpython3.11-stdlib python3.11-minimal python3-minimal
""".split()
# Written when packages are installed, so no package lists them.
MADE = (
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/lib/python3.11",
)
LEFT_OUT = (
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/bug/",
    "/usr/share/lintian/",
    "/usr/share/ca-certificates/",
)
MERGED = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}


def main(target: Path) -> None:
    """Copy everything; folders keep their rights, links stay links."""
    for name, place in MERGED.items():
        (target / place).mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(place)
    for name in ("dev", "proc", "sys", "run", "data"):
        (target / name).mkdir()
    (target / "tmp").mkdir()
    (target / "tmp").chmod(0o1777)
    listed = subprocess.run(["dpkg", "-L", *PACKAGES], capture_output=True, text=True, check=True).stdout
    for line in sorted({*listed.splitlines(), *MADE}):
        source = Path(line)
        if not line.startswith("/") or (line.startswith(LEFT_OUT) and not line.endswith("/copyright")):
            continue
        copy = target / os.path.realpath(source.parent).lstrip("/") / source.name
        if source.is_dir() and not source.is_symlink() and line not in MADE:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if line in MADE and source.is_dir():
            shutil.copytree(source, copy, symlinks=True, dirs_exist_ok=True)
        elif os.path.lexists(source) and not os.path.lexists(copy):
            shutil.copy2(source, copy, follow_symlinks=False)
    subprocess.run(["ldconfig", "-r", str(target)], check=True)
    stated = subprocess.run(
        ["dpkg", "--status", *PACKAGES], capture_output=True, text=True, check=True
    ).stdout
    (target / "var/lib/dpkg").mkdir(parents=True, exist_ok=True)
    (target / "var/lib/dpkg/status").write_text(
        stated, encoding="utf-8"
    )  # scanners for vulnerabilities read it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
