"""Films of plain colours, and a model and a reader that know nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clips import encoded
from quiet_progress import QuietProgress
from smallsight.errors import SmallsightError
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.search.look_scale import LookScale
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.text_index import IndexView
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.reading.text_line import TextLine
from smallsight.settings import Settings

RED, GREEN, BLUE = (220, 40, 30), (30, 200, 60), (40, 60, 220)
NAMES = {"red": 0, "green": 1, "blue": 2}


class ByColour:
    """Embeds a picture as its mean colour, and a colour's name as that colour."""

    key = "colours-1"
    num_at_once = 2
    min_similarity = 0.9

    def embed_pictures(self, pictures: Sequence[np.ndarray], /) -> np.ndarray:
        means = [np.asarray(one, np.float32).mean(axis=(0, 1)) + 1 for one in pictures]
        return np.stack([one / np.linalg.norm(one) for one in means])

    def embed_texts(self, texts: Sequence[str], /) -> np.ndarray:
        return np.stack([np.eye(3, dtype=np.float32)[NAMES[text]] for text in texts])

    def scale(self, _: IndexView, /) -> LookScale | None:
        return None


class ColourReader:
    """Reads the colour of an image as its text."""

    key = "colour-reader-1"
    num_at_once = 1

    def read(self, image_HWC: np.ndarray) -> list[TextLine]:
        name = next(name for name, band in NAMES.items() if image_HWC[..., band].mean() > 150)
        return [TextLine(name, 0.99, ((0, 0), (1, 0), (1, 1), (0, 1)))]


def frame(colour: Sequence[int], side: int = 64) -> np.ndarray:
    """Return a frame of a colour, with marks that make it more than blank."""
    pixels = np.full((side, side, 3), colour, np.uint8)
    pixels[:6, :6] = 255
    pixels[-6:, -6:] = 0
    return pixels


def film(*colours: Sequence[int], seconds_each: int = 4, container: str = "mp4") -> bytes:
    frames = [frame(one) for one in colours for _ in range(10 * seconds_each)]
    return encoded(frames, container, "libvpx" if container == "webm" else "libx264")


class Problems(QuietProgress):
    def __init__(self) -> None:
        self.found: dict[str, SmallsightError] = {}

    def problem(self, path: str, error: SmallsightError) -> None:
        self.found[Path(path).name] = error


def index_all(database: Database, settings: Settings, pictures: Path, problems: Problems) -> IndexReport:
    """Scan and run every stage but those of models that write."""
    known = Library(database).add_folder(pictures)
    FolderScan(database, settings, known.id, known.path).run(problems, lambda: False)
    means = Means(database, settings, picture_embedder=ByColour(), reader=ColourReader())
    return Indexer(database, settings, list_stages(means)).run(problems, lambda: False)


def found(searcher: Searcher, text: str) -> dict[str, float | None]:
    return {hit.path.name: hit.found_at_s for hit in searcher.search(text).hits}
