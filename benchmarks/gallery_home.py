"""Data folders with a generated library for the benchmarks of the pages, kept between runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from generated_library import SEED, Language, build_library
from PIL import Image

from smallsight.catalog.text_model import find_text_model
from smallsight.library.thumbnails import thumbnail_path
from smallsight.reading.query_embedder import QueryEmbedder
from smallsight.settings import load_settings

NUM_EMBEDDED_TOPICS = 100
FILES_LINKED = 300  # file systems limit the links of one file


def make_home(home: Path, num_pictures: int) -> None:
    """Build the library, with vectors of the text model's topics where there is one, unless it is there."""
    done = home / "build_s"
    if done.exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    settings = load_settings(home=home)
    model_dir = find_text_model(settings)
    options: dict[str, Any] = {}
    if model_dir is not None:
        embedder = QueryEmbedder.load(
            model_dir, precision=settings.embedding.precision, prepared_dir=settings.prepared_dir
        )
        drawing = language()
        topics = [" ".join(drawing.draw(8)) for _ in range(NUM_EMBEDDED_TOPICS)]
        options = {"embedder_key": embedder.key, "topics_TD": embedder.embed(topics)}
    done.write_text(f"{build_library(home, num_pictures, **options).all_s:.1f}")


def link_thumbnails(home: Path, keys: Iterable[str]) -> None:
    """Give every content one of a few hundred small files as its thumbnail."""
    settings = load_settings(home=home)
    folder = home / "thumbnail-files"
    folder.mkdir(exist_ok=True)
    files = [folder / f"{number}.webp" for number in range(FILES_LINKED)]
    for number, file in enumerate(files):
        noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(noise).resize((320, 240)).save(file, "WEBP", quality=80)
    for number, sha256 in enumerate(keys):
        path = thumbnail_path(settings.thumbnails_dir, sha256, 320)
        if settings.index.thumbnail_side_px == 320:
            path = thumbnail_path(settings.thumbnails_dir, sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.link(files[number % FILES_LINKED], path)


def language() -> Language:
    """Return what draws the words of the searches."""
    return Language(np.random.default_rng(SEED))
