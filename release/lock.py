"""Writes requirements/: every version that an installation gets, with the hashes of all its files.

Run it with ``make lock`` after changing constraints.txt or the dependencies in pyproject.toml.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
LOCKS: dict[str, tuple[str, ...]] = {
    "pip": ("requirements/pip.in",),
    "text-model": ("requirements/text-model.in", "--no-deps"),
    "demo": ("pyproject.toml", "requirements/build.in", "--extra=ocr", "--extra=validate"),
    "dev": (
        "pyproject.toml",
        "requirements/build.in",
        "--extra=ocr",
        "--extra=parquet",
        "--extra=heif",
        "--extra=mcp",
        "--extra=ray",
        "--extra=video",
        "--extra=validate",
        "--group=dev",
    ),
    # Without heif and video: their wheels hold encoders under the GPL, which an image of ours must not ship.
    "image": ("pyproject.toml", "--extra=mcp"),
    "image-reading": ("pyproject.toml", "--extra=mcp", "--extra=ocr"),
    "image-build": ("requirements/image-build.in", "--constraint=kernels/build-constraints.txt"),
    "zig": ("requirements/zig.in", "--constraint=kernels/build-constraints.txt"),
    "wheels": ("requirements/wheels.in", "--constraint=kernels/build-constraints.txt"),
    "docs": ("--group=pyproject.toml:docs",),
    "release": ("--group=pyproject.toml:release",),
    "clients": ("requirements/clients.in",),
}
# Installed apart from the others, because its packages contradict constraints.txt.
UNCONSTRAINED = frozenset({"clients"})


def header(name: str) -> str:
    """Return the first line of a file, which says what it is written from."""
    given = [one.removeprefix("--group=").partition(":")[0] for one in LOCKS[name]]
    sources = [one for one in dict.fromkeys(given) if not one.startswith("-") and "." in one]
    if name not in UNCONSTRAINED:
        sources.append("constraints.txt")
    named = " and ".join([", ".join(sources[:-1]), sources[-1]] if sources[1:] else sources)
    return f"# Written by `make lock` from {named}.\n"


def lock(uv: str, name: str) -> None:
    """Write one file: for every platform and every Python that the package supports."""
    target = FOLDER / f"{name}.txt"
    arguments = [uv, "pip", "compile", *LOCKS[name], "--universal", "--python-version=3.11"]
    arguments += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    if name not in UNCONSTRAINED:
        arguments.append("--constraint=constraints.txt")
    arguments.append(f"--output-file={target}")
    subprocess.run(arguments, cwd=ROOT, check=True)
    target.write_text(header(name) + target.read_text(encoding="utf-8"), encoding="utf-8")


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--uv", default="uv", type=lambda path: str(Path(path).absolute()), help="uv's program"
    )
    uv = parser.parse_args().uv
    for name in LOCKS:
        lock(uv, name)
        print(f"requirements/{name}.txt")


if __name__ == "__main__":
    main()
