"""Feed the decoder the test pictures of Pillow's source distribution, and pictures damaged at random.

Run it as ``python benchmarks/malformed_pictures.py [--mutated N] [--json FILE] [--sdist FILE]``. Every file
must end in a picture or in a typed error; anything else counts as a crash and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import PIL
import psutil
from PIL import Image

from smallsight.errors import DecoderFailedError, SmallsightError
from smallsight.media.decoder import PictureDecoder
from smallsight.media.files import read_picture_file
from smallsight.settings import MIB, Limits

PILLOW_VERSION = "13.0.0"
SEED = 20260101
MAX_SIDE_PX, THUMBNAIL_SIDE_PX = 1600, 320


@dataclass
class Tally:
    """How a series of pictures ended."""

    name: str
    num_files: int = 0
    num_pictures: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)
    decoder_failures: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    longest_name: str = ""
    total_s: float = 0.0
    parent_rss_growth_mib: float = 0.0
    num_child_restarts: int = 0

    def add(self, name: str, attempt: Callable[[], object]) -> None:
        """Run one attempt and count how it ended."""
        started = time.perf_counter()
        try:
            attempt()
            self.num_pictures += 1
        except SmallsightError as error:
            kind = type(error).__name__
            self.errors[kind] = self.errors.get(kind, 0) + 1
            if isinstance(error, DecoderFailedError):
                self.decoder_failures.append(f"{name}: {error.message}")
        except Exception as error:  # noqa: BLE001 - counting what must not happen is the purpose
            self.crashes.append(f"{name}: {error!r}")
        elapsed_s = time.perf_counter() - started
        self.num_files += 1
        self.total_s += elapsed_s
        if elapsed_s > self.longest_s:
            self.longest_s, self.longest_name = elapsed_s, name


def main(arguments: list[str] | None = None) -> int:
    """Run the series that were asked for; return 1 if anything crashed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutated", type=int, default=0, metavar="N", help="also try N damaged pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--sdist", type=Path, metavar="FILE", help="use this archive, download nothing")
    options = parser.parse_args(arguments)
    tallies = []
    with tempfile.TemporaryDirectory(prefix="smallsight-malformed-") as folder:
        images = unpack_images(options.sdist or download_sdist(Path(folder)), Path(folder))
        files = sorted(path for path in images.rglob("*") if path.is_file())
        tallies.append(run("pillow test images", ((str(path.relative_to(images)), path) for path in files)))
    if options.mutated:
        tallies.append(run("mutated pictures", mutated_pictures(options.mutated)))
    report = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "pillow": PIL.__version__,
        "limits": Limits().model_dump(),
        "series": [asdict(tally) for tally in tallies],
    }
    for tally in tallies:
        show(tally)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any(tally.crashes for tally in tallies) else 0


def download_sdist(folder: Path) -> Path:
    """Fetch Pillow's source distribution with pip; it reads the metadata and compiles nothing."""
    requirement = f"pillow=={PILLOW_VERSION}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pillow"]
    subprocess.run([*command, "--dest", str(folder), requirement], check=True)
    return next(folder.glob("pillow-*.tar.gz"))


def unpack_images(archive: Path, folder: Path) -> Path:
    """Unpack the archive safely and return the folder of test images."""
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "unpacked", filter="data")
    return next((folder / "unpacked").glob("pillow-*/Tests/images"))


def run(name: str, sources: Iterable[tuple[str, Path | bytes]]) -> Tally:
    """Read and decode each source, and watch this process's memory meanwhile."""
    tally = Tally(name)
    limits = Limits()
    process = psutil.Process()
    with PictureDecoder(limits) as decoder:
        warm_up(decoder)
        rss_before = process.memory_info().rss
        for source_name, source in sources:

            def attempt(source: Path | bytes = source) -> None:
                data = source if isinstance(source, bytes) else read_picture_file(source, limits)
                decoder.decode(data, max_side_px=MAX_SIDE_PX, thumbnail_side_px=THUMBNAIL_SIDE_PX)

            tally.add(source_name, attempt)
        tally.parent_rss_growth_mib = round((process.memory_info().rss - rss_before) / MIB, 1)
        tally.num_child_restarts = decoder.num_children_started - 1
    return tally


def warm_up(decoder: PictureDecoder) -> None:
    """Start the child and touch the memory that any picture needs, so that growth means growth."""
    noise_HWC = np.random.default_rng(SEED).integers(0, 255, (1600, 1600, 3), dtype=np.uint8)
    decoder.decode(
        encoded(Image.fromarray(noise_HWC), "PNG"),
        max_side_px=MAX_SIDE_PX,
        thumbnail_side_px=THUMBNAIL_SIDE_PX,
    )


def mutated_pictures(num_pictures: int) -> Iterator[tuple[str, bytes]]:
    """Yield valid pictures of every format with flipped bits, cut ends or spliced parts; always the same."""
    originals = list(valid_pictures())
    for index in range(num_pictures):
        generator = random.Random(SEED + index)
        format_name, data = originals[index % len(originals)]
        kind = generator.choice(("bits", "header bits", "cut", "splice", "repeat"))
        yield f"{index} {format_name} {kind}", mutate(data, kind, originals, generator)


def mutate(data: bytes, kind: str, originals: list[tuple[str, bytes]], generator: random.Random) -> bytes:
    """Return ``data`` damaged in one way; its first bytes stay, so that it is not refused at once."""
    changed = bytearray(data)
    start = generator.randrange(16, len(changed))
    length = generator.randrange(1, 256)
    match kind:
        case "bits":
            for _ in range(generator.randrange(1, 32)):
                changed[generator.randrange(16, len(changed))] ^= 1 << generator.randrange(8)
        case "header bits":
            for _ in range(generator.randrange(1, 8)):
                changed[generator.randrange(12, min(len(changed), 200))] = generator.randrange(256)
        case "cut":
            del changed[start:]
        case "splice":
            other = generator.choice(originals)[1]
            place = generator.randrange(len(other))
            changed[start : start + length] = other[place : place + length]
        case _:
            changed[start:start] = changed[start : start + length] * generator.randrange(1, 8)
    return bytes(changed)


def valid_pictures() -> Iterator[tuple[str, bytes]]:
    """Yield small pictures of every format and of the variants that take other paths in a decoder."""
    y, x = np.mgrid[0:96, 0:128]
    waves = np.stack([128 + 100 * np.sin(x / 9), 2.0 * x, 128 + 90 * np.cos((x + y) / 7)], axis=-1)
    image = Image.fromarray(waves.clip(0, 255).astype(np.uint8))
    frames = [image, image.rotate(40), image.rotate(80)]
    several = {"save_all": True, "append_images": frames[1:]}
    deep = Image.fromarray((x * 500).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    variants: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("JPEG", image, {"exif": exif}),
        ("JPEG", image, {"progressive": True}),
        ("JPEG", image.convert("CMYK"), {}),
        ("JPEG", image.convert("L"), {}),
        ("PNG", image, {}),
        ("PNG", image.convert("RGBA"), {}),
        ("PNG", image.quantize(64), {}),
        ("PNG", deep, {}),
        ("PNG", image, several),
        ("WEBP", image, {}),
        ("WEBP", image.convert("RGBA"), {"lossless": True}),
        ("WEBP", image, several),
        ("GIF", image, {}),
        ("GIF", image, several),
        ("BMP", image, {}),
        ("BMP", image.quantize(16), {}),
        ("TIFF", image, {}),
        ("TIFF", image, {"compression": "tiff_lzw"}),
        ("TIFF", image, {"compression": "tiff_adobe_deflate", **several}),
        ("TIFF", image, {"compression": "jpeg"}),
        ("TIFF", image.convert("1"), {"compression": "group4"}),
        ("AVIF", image, {}),
        ("AVIF", image, several),
    ]
    for format_name, variant, options in variants:
        yield format_name, encoded(variant, format_name, **options)


def encoded(image: Image.Image, format_name: str, **options: object) -> bytes:
    """Return the picture as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def show(tally: Tally) -> None:
    """Print one series."""
    print(f"{tally.name}: {tally.num_files} files in {tally.total_s:.1f} s")
    print(f"  pictures: {tally.num_pictures}")
    for name, count in sorted(tally.errors.items()):
        print(f"  {name}: {count}")
    print(f"  crashes: {len(tally.crashes)}")
    for line in (*tally.crashes, *tally.decoder_failures):
        print(f"    {line}")
    print(f"  longest: {tally.longest_s:.2f} s ({tally.longest_name})")
    print(f"  growth of this process: {tally.parent_rss_growth_mib} MiB")
    print(f"  child restarts: {tally.num_child_restarts}")


if __name__ == "__main__":
    sys.exit(main())
