"""Copies that were cut, framed or captioned too far for hashes, found by vectors and decided by pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from quiet_progress import QuietProgress
from smallsight.library.alike.pairs import Reason
from smallsight.library.alike.placing import SearchedImage, find_part
from smallsight.library.database import Database
from smallsight.library.duplicate_groups import GroupKind, groups
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.stages.compare import CompareWork
from smallsight.library.stages.compare_looks import COMPARE_LOOKS, CompareLooksWork
from smallsight.library.stages.embed_picture import EmbedPictureWork
from smallsight.library.stages.look import LookWork
from smallsight.settings import Settings


class ByColours:
    """Pictures are near that have the same colours, wherever those are."""

    key = "colours-1"
    num_at_once = 2

    def embed_pictures(self, pictures: Sequence[np.ndarray], /) -> np.ndarray:
        return np.stack([self._vector(one) for one in pictures])

    def _vector(self, image_HWC: np.ndarray) -> np.ndarray:
        pixels_N3 = np.asarray(Image.fromarray(image_HWC).resize((64, 64))).reshape(-1, 3) // 64
        counts_64 = np.bincount(pixels_N3 @ np.array([16, 4, 1]), minlength=64) + 1e-3
        return (counts_64 / np.linalg.norm(counts_64)).astype(np.float32)


def scene(seed: int, size: tuple[int, int] = (300, 220)) -> Image.Image:
    """Draw something detailed; all scenes have the same few colours."""
    rng = np.random.default_rng(seed)
    colours = ((190, 60, 50), (60, 120, 190), (240, 220, 160), (40, 90, 60))
    image = Image.new("RGB", size, (120, 130, 140))
    drawing = ImageDraw.Draw(image)
    for number in range(60):
        x, y = int(rng.integers(-10, size[0])), int(rng.integers(-10, size[1]))
        wide, high = int(rng.integers(10, 60)), int(rng.integers(10, 50))
        drawing.ellipse((x, y, x + wide, y + high), fill=colours[number % 4])
    return image


@pytest.fixture
def index(database: Database, settings: Settings, pictures: Path) -> Callable[[], IndexReport]:
    def run() -> IndexReport:
        known = Library(database).add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
        embedder = ByColours()
        works = [
            LookWork(settings),
            EmbedPictureWork(embedder),
            CompareWork(database, settings),
            CompareLooksWork(database, settings, embedder.key),
        ]
        return Indexer(database, settings, works).run(QuietProgress(), lambda: False)

    return run


def grouped(database: Database) -> list[tuple[set[str], set[Reason]]]:
    page = groups(database, GroupKind.SAME)
    return [
        ({path.name for member in group.members for path in member.paths}, set(group.reasons))
        for group in page.groups
    ]


def test_a_large_crop_and_a_wide_frame_join_their_picture(database: Database, pictures: Path, index):
    whole, framed = scene(1), scene(2)
    whole.save(pictures / "whole.png")
    whole.crop((100, 30, 280, 190)).save(pictures / "part.jpg", quality=90)
    framed.save(pictures / "plain.png")
    ImageOps.expand(framed, 90, "white").save(pictures / "framed.jpg", quality=90)
    for seed in range(10, 14):
        scene(seed).save(pictures / f"other{seed}.png")
    report = index()
    assert report.stages[COMPARE_LOOKS].done == 8
    [(frame, why_framed), (crop, why_cropped)] = sorted(grouped(database), key=lambda one: sorted(one[0]))
    assert (frame, crop) == ({"plain.png", "framed.jpg"}, {"whole.png", "part.jpg"})
    assert Reason.CROP in why_cropped
    assert Reason.BORDER in why_framed


def test_pictures_that_only_look_alike_stay_apart(database: Database, pictures: Path, index):
    for seed in range(6):
        scene(seed).save(pictures / f"scene{seed}.png")
    scene(0).crop((130, 90, 300, 220)).save(pictures / "corner.png")
    Image.new("RGB", (300, 220), (120, 130, 140)).save(pictures / "flat.png")
    index()
    assert [names for names, _ in grouped(database)] == [{"scene0.png", "corner.png"}]


def test_what_was_compared_is_not_compared_again_and_a_new_picture_finds_the_old_one(
    database: Database, pictures: Path, index
):
    scene(1).save(pictures / "whole.png")
    index()
    scene(1).crop((100, 30, 280, 190)).save(pictures / "part.png")
    assert index().stages[COMPARE_LOOKS].done == 1
    assert [names for names, _ in grouped(database)] == [{"whole.png", "part.png"}]
    assert index().stages[COMPARE_LOOKS].done == 0


def test_a_part_is_found_at_any_place_and_scale_of_the_whole():
    whole = scene(3)
    searched = SearchedImage(np.asarray(whole.convert("L")))
    for box in ((0, 0, 120, 90), (150, 60, 299, 219), (20, 10, 290, 200), (90, 0, 210, 220)):
        part = whole.crop(box).convert("L").resize((170, 130))
        part = part.resize((box[2] - box[0], box[3] - box[1]))
        found = find_part(searched, SearchedImage(np.asarray(part)))
        assert found is not None
        expected = np.array([box[1] / 220, box[3] / 220, box[0] / 300, box[2] / 300])
        assert np.abs(np.array(found.rect) - expected).max() < 0.05
    other = SearchedImage(np.asarray(scene(4).crop((50, 20, 200, 160)).convert("L")))
    unlike = find_part(searched, other)
    assert unlike is None or unlike.correlation < 0.8
    flat = SearchedImage(np.full((40, 60), 90, np.uint8))
    assert find_part(searched, flat) is None
    assert find_part(flat, searched) is None
