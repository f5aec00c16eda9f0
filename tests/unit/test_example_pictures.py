"""The example pictures are what their manifest says, and the drawing script still draws them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = EXAMPLES / "pictures"
MANIFEST = json.loads((EXAMPLES / "pictures.json").read_text(encoding="utf-8"))
ENTRIES = {entry["file"]: entry for entry in MANIFEST["pictures"]}
MAX_TOTAL_BYTES = 4_000_000
REDRAWN = ("memes/IMG_0007.png", "memes/image (14).jpg", "screenshots/error.bmp")

FORMATS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".avif": "AVIF",
    ".bmp": "BMP", ".tif": "TIFF",
}  # fmt: skip


def digest(file: str) -> str:
    return hashlib.sha256((PICTURES / file).read_bytes()).hexdigest()


def small_grey(file: str) -> np.ndarray:
    with Image.open(PICTURES / file) as image:
        return np.asarray(image.convert("L").resize((32, 24)), dtype=np.float64)


def test_manifest_lists_exactly_the_files():
    on_disk = {path.relative_to(PICTURES).as_posix() for path in PICTURES.rglob("*") if path.is_file()}
    assert on_disk == set(ENTRIES)
    assert len(ENTRIES) == len(MANIFEST["pictures"]) >= 28


def test_pictures_are_small_enough_to_ship():
    assert sum((PICTURES / file).stat().st_size for file in ENTRIES) < MAX_TOTAL_BYTES


@pytest.mark.parametrize("file", sorted(ENTRIES))
def test_suffix_tells_the_format_and_the_size_is_usual(file: str):
    with Image.open(PICTURES / file) as image:
        image.load()
        assert image.format == FORMATS[Path(file).suffix.lower()]
        assert 480 <= max(image.size) <= 1200


@pytest.mark.parametrize("file", sorted(ENTRIES))
def test_entry_says_what_a_reader_should_find(file: str):
    entry = ENTRIES[file]
    assert entry["kind"] in {"meme", "screenshot", "photo-like"}
    assert entry["shows"]
    assert entry["colours"]
    assert all(line == line.strip() != "" for line in entry["text"])
    assert entry["text"] or not entry["hard"]


def test_every_kind_and_a_good_number_without_text():
    kinds = [entry["kind"] for entry in ENTRIES.values()]
    assert min(kinds.count(kind) for kind in ("meme", "screenshot", "photo-like")) >= 8
    assert sum(not entry["text"] for entry in ENTRIES.values()) >= 8


def test_sideways_jpeg_is_stored_sideways():
    with Image.open(PICTURES / "photos/DSC_0482.jpg") as image:
        assert image.getexif()[0x0112] == 6
        assert image.width > image.height


@pytest.mark.parametrize(
    ("file", "mode"),
    [
        ("photos/cover_print_final_v3.jpg", "CMYK"),
        ("photos/pano_bw_16bit.png", "I;16"),
        ("photos/Scan_0007.tif", "L"),
        ("memes/sticker_0412.png", "RGBA"),
        ("memes/IMG_0007.png", "P"),
        ("screenshots/error.bmp", "P"),
    ],
)
def test_unusual_pixels_are_really_there(file: str, mode: str):
    with Image.open(PICTURES / file) as image:
        assert image.mode == mode


def test_sticker_is_clear_around_and_solid_inside():
    with Image.open(PICTURES / "memes/sticker_0412.png") as image:
        alpha = np.asarray(image.getchannel("A"))
    assert alpha[0, 0] == 0
    assert alpha.max() == 255
    assert 0.2 < (alpha == 255).mean() < 0.8


def test_sixteen_bit_picture_uses_more_than_eight_bits():
    with Image.open(PICTURES / "photos/pano_bw_16bit.png") as image:
        levels = np.unique(np.asarray(image))
    assert len(levels) > 256


def test_animation_moves():
    with Image.open(PICTURES / "memes/giphy.gif") as image:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    assert len(frames) == 8
    assert len({frame.tobytes() for frame in frames}) > 1


def test_copy_is_exact_and_forwarded_meme_is_only_near():
    assert digest("memes/saved/meme (7).png") == digest("memes/meme (7).png")
    original, forwarded = "memes/IMG_2041.jpg", "memes/IMG-20260302-WA0007.jpg"
    assert digest(original) != digest(forwarded)
    assert np.abs(small_grey(original) - small_grey(forwarded)).mean() < 3
    assert np.abs(small_grey(original) - small_grey("memes/meme (3).jpg")).mean() > 20


def test_pictures_are_otherwise_different():
    assert len({digest(file) for file in ENTRIES}) == len(ENTRIES) - 1


def test_queries_of_all_sorts_name_pictures_that_exist():
    queries = MANIFEST["demo_queries"]
    assert {query["kind"] for query in queries} == {"keyword", "semantic", "misspelt"}
    for query in queries:
        assert query["expect"]
        assert set(query["expect"]) <= set(ENTRIES)


@pytest.mark.parametrize("query", MANIFEST["demo_queries"], ids=lambda query: query["query"])
def test_queries_share_words_with_their_pictures_only_where_they_should(query: dict[str, object]):
    words = set(str(query["query"]).lower().split())
    for file in query["expect"]:  # type: ignore[attr-defined]  # a list, from JSON
        text = " ".join(ENTRIES[file]["text"]).lower()
        if query["kind"] == "keyword":
            assert all(word in text for word in words)
        if query["kind"] == "semantic":
            assert not words & set(text.split())
        if query["kind"] == "misspelt":
            assert any(word not in text for word in words)


def test_redrawing_gives_the_same_pictures(tmp_path: Path):
    script = [sys.executable, str(EXAMPLES / "draw_pictures.py"), "--out", str(tmp_path), "--only", *REDRAWN]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 5:
        pytest.skip(f"the fonts for drawing are not installed: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "pictures.json").read_text(encoding="utf-8")) == MANIFEST
    for file in REDRAWN:
        with Image.open(PICTURES / file) as kept, Image.open(tmp_path / "pictures" / file) as drawn:
            before = np.asarray(kept.convert("RGB"), dtype=np.int16)
            after = np.asarray(drawn.convert("RGB"), dtype=np.int16)
        assert before.shape == after.shape
        # not exactly equal: other releases of the font and JPEG libraries round a few edge pixels differently
        assert np.abs(before - after).mean() < 1, f"{file} is no longer what the script draws"


def test_drawing_an_unknown_picture_is_refused(tmp_path: Path):
    script = [
        sys.executable,
        str(EXAMPLES / "draw_pictures.py"),
        "--out",
        str(tmp_path),
        "--only",
        "nothing.png",
    ]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 5:
        pytest.skip(f"the fonts for drawing are not installed: {done.stderr.strip()}")
    assert done.returncode == 2
    assert "no such picture: nothing.png" in done.stderr
