"""Measures which altered copies of pictures are found, and how many different pictures are taken for copies.

``python benchmarks/duplicate_recall.py [--others FOLDER] [--drawn N] [--json FILE]`` indexes the example
pictures (and others), altered copies of them, memes made on the same pictures, and drawn pictures, without
reading their text. "Before" is the comparison of two hashes with at most 6 differing bits. ``--scale N`` also
searches N made-up contents for candidates.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from smallsight.library.alike.comparing import ViewTable
from smallsight.library.alike.views import VIEW_DTYPE, picture_views
from smallsight.library.database import Database
from smallsight.library.duplicate_groups import GroupKind, groups
from smallsight.library.search.sqlite.duplicates import near_duplicates
from smallsight.library.stages.compare import COMPARE, CompareWork
from smallsight.services.index_callback import CallbackProgress
from smallsight.services.indexing import IndexingApplication
from smallsight.settings import IndexSettings, Settings

EXAMPLES = Path(__file__).parent.parent / "examples" / "pictures"
SIDE_PX = 900
BITS_BEFORE = 6
RELATED = {"memes_IMG-20260302-WA0007", "memes_IMG_2041", "memes_meme (7)", "saved_meme (7)"}  # are copies
Alter = Callable[[Image.Image], Image.Image]


def border(share: float, colour: str) -> Alter:
    """Return what adds a border whose width is a share of the longest side."""
    return lambda image: ImageOps.expand(image, round(share * max(image.size)), colour)


def crop(share: float) -> Alter:
    """Return what cuts off a share of each side."""

    def alter(image: Image.Image) -> Image.Image:
        across, down = round(image.width * share), round(image.height * share)
        return image.crop((across, down, image.width - across, image.height - down))

    return alter


def caption(words: str, *, is_above: bool) -> Alter:
    """Return what adds a white bar with words."""

    def alter(image: Image.Image) -> Image.Image:
        bar = max(24, round(image.height * 0.18))
        made = Image.new("RGB", (image.width, image.height + bar), "white")
        made.paste(image, (0, bar if is_above else 0))
        place = (image.width * 0.05, (0 if is_above else image.height) + bar * 0.25)
        size = max(10, min(bar // 3, round(image.width * 1.6 / len(words))))
        ImageDraw.Draw(made).text(place, words, fill="black", font=ImageFont.load_default(size=size))
        return made

    return alter


def jpeg(quality: int) -> Alter:
    """Return what encodes as JPEG."""

    def alter(image: Image.Image) -> Image.Image:
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=quality)
        return Image.open(io.BytesIO(encoded.getvalue())).convert("RGB")

    return alter


def watermark(image: Image.Image) -> Image.Image:
    """Return the image with a name in its lower right corner."""
    made = image.copy()
    place = (made.width * 0.55, made.height * 0.9)
    font = ImageFont.load_default(size=max(10, made.height // 20))
    ImageDraw.Draw(made).text(
        place, "@somebody.example", fill="white", font=font, stroke_width=1, stroke_fill="black"
    )
    return made


def top_and_bottom(above: str, below: str) -> Alter:
    """Return what writes in the manner of memes: large, white, outlined."""

    def alter(image: Image.Image) -> Image.Image:
        made = image.copy()
        drawing = ImageDraw.Draw(made)
        for words, share in ((above, 0.03), (below, 0.84)):
            font = ImageFont.load_default(
                size=max(12, round(min(made.height / 9, made.width * 1.5 / len(words))))
            )
            drawing.text(
                (made.width / 2, made.height * share),
                words,
                fill="white",
                font=font,
                anchor="ma",
                stroke_width=2,
                stroke_fill="black",
            )
        return made

    return alter


VARIANTS: dict[str, Alter] = {
    "border 2 %, white": border(0.02, "white"),
    "border 5 %, white": border(0.05, "white"),
    "border 10 %, black": border(0.10, "black"),
    "crop 2 % a side": crop(0.02),
    "crop 5 % a side": crop(0.05),
    "crop 10 % a side": crop(0.10),
    "caption bar above": caption("when you see it again and again", is_above=True),
    "caption bar below": caption("nobody told me about this", is_above=False),
    "mirrored": ImageOps.mirror,
    "turned by 90°": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "JPEG quality 30": jpeg(30),
    "a third of the size": lambda image: image.resize(
        (max(1, image.width // 3), max(1, image.height // 3)), Image.Resampling.LANCZOS
    ),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "brighter by 25 %": lambda image: ImageEnhance.Brightness(image).enhance(1.25),
    "watermark": watermark,
}
MEMES: dict[str, tuple[Alter, Alter]] = {
    "words on the picture": (
        top_and_bottom("MONDAY AGAIN", "SEND COFFEE"),
        top_and_bottom("I FIXED THE BUG", "NOW THERE ARE TWO"),
    ),
    "words in a bar": (
        caption("me explaining my hobby at dinner", is_above=True),
        caption("the cat at 3 in the morning", is_above=True),
    ),
}


def originals(folders: list[Path]) -> Iterator[tuple[str, Image.Image]]:
    """Yield the pictures below folders, as they are shown, at most 900 px."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            try:
                with Image.open(path) as opened:
                    image = ImageOps.exif_transpose(opened)
                    if image.mode.startswith("I"):
                        image = Image.fromarray((np.asarray(image) / 256).astype(np.uint8))
                    shown = Image.new("RGBA", image.size, "white")
                    shown.alpha_composite(image.convert("RGBA"))
            except (OSError, ValueError):
                continue
            made = shown.convert("RGB")
            made.thumbnail((SIDE_PX, SIDE_PX))
            # One grey value, or a pattern that repeats, has no look of its own.
            if min(made.size) >= 64 and not path.name.startswith("chessboard"):
                yield f"{path.parent.name}_{path.stem}", made


def drawn(num: int) -> Iterator[Image.Image]:
    """Yield made-up pictures: a blurred ground with shapes and words, many with the same layout."""
    for number in range(num):
        rng = random.Random(number)
        layout = random.Random(number // 4)  # four pictures share one
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        image = Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)
        if number % 2:
            image = Image.new("RGB", (320, 240), rng.choice(["white", "black", "#f4f4f8", "#202830"]))
        drawing = ImageDraw.Draw(image)
        for _ in range(layout.randint(2, 7)):
            x, y = layout.randint(0, 240), layout.randint(0, 180)
            box = (x, y, x + layout.randint(30, 140), y + layout.randint(20, 110))
            colour = tuple(rng.randint(0, 255) for _ in range(3))
            (drawing.ellipse if layout.random() < 0.5 else drawing.rectangle)(box, fill=colour)
        for line in range(layout.randint(0, 5)):
            words = "".join(rng.choice("abcdefghij klmnopq rstuvwxyz") for _ in range(rng.randint(8, 26)))
            size = layout.choice([12, 16, 24])
            drawing.text(
                (12, 20 + line * 40), words, fill=layout.choice(["black", "white", "red"]),
                font=ImageFont.load_default(size=size), stroke_width=1, stroke_fill="grey",
            )  # fmt: skip
        yield image.filter(ImageFilter.GaussianBlur(rng.choice([0, 0.6])))


def write_pictures(
    folder: Path, sources: list[Path], num_originals: int, num_drawn: int
) -> dict[str, Image.Image]:
    """Write everything to index; a file is named by its original, then two underscores and what was done."""
    folder.mkdir(parents=True)
    known = dict(list(originals(sources))[:num_originals])
    for name, image in known.items():
        image.save(folder / f"{name}__original.png")
        for number, alter in enumerate(VARIANTS.values()):
            alter(image).save(folder / f"{name}__v{number}.jpg", quality=88)
        for number, pair in enumerate(MEMES.values()):
            for which, alter in enumerate(pair):
                alter(image).save(folder / f"{name}__m{number}{which}.jpg", quality=88)
    for number, image in enumerate(drawn(num_drawn)):
        image.save(folder / f"drawn{number}__original.png")
    return known


def measure(folder: Path, home: Path, known: list[str], num_drawn: int) -> dict[str, object]:
    """Index the folder and compare both ways."""
    settings = Settings(home=home, index=IndexSettings(ocr=False, metadata=False))
    started = time.perf_counter()
    with IndexingApplication(settings, describes=False, configures_logging=False) as application:
        report = application.index([folder], CallbackProgress(None), lambda: False)
    index_s = time.perf_counter() - started
    with Database.open_for_reading(settings.database_path) as database:
        started = time.perf_counter()
        same = groups(database, GroupKind.SAME)
        similar = groups(database, GroupKind.SIMILAR)
        group_s = time.perf_counter() - started
        now = [{member.paths[0].stem for member in group.members} for group in same.groups]
        alike = [{member.paths[0].stem for member in group.members} for group in similar.groups]
        with database.cursor() as cursor:
            names = dict(cursor.execute("SELECT content_id, path FROM picture").fetchall())
            (num_pairs,) = cursor.execute("SELECT count(*) FROM alike_pair").fetchone()
        before = [{Path(names[id_]).stem for id_ in ids} for ids in near_duplicates(database, BITS_BEFORE)]
    found = {"before": tally(before, known), "after": tally(now, known)}
    num_pictures = len(names)
    return {
        "originals": len(known),
        "drawn": num_drawn,
        "pictures": num_pictures,
        "found": {way: one["found"] for way, one in found.items()},
        "memes_taken_for_copies": {way: one["memes"] for way, one in found.items()},
        "memes_similar": tally(alike, known)["memes"],
        "false_pairs": {way: one["false"] for way, one in found.items()},
        "examples": {way: one["examples"] for way, one in found.items()},
        "index_s": round(index_s, 1),
        "compare_s": round(report.work.stages[COMPARE].seconds, 1),
        "pairs": num_pairs,
        "group_s": round(group_s, 2),
    }


def tally(found: list[set[str]], known: list[str]) -> dict[str, object]:
    """Count copies in a group with their original, and pairs of different pictures in a group."""
    group_of = {name: number for number, names in enumerate(found) for name in names}
    recall = {
        variant: sum(
            f"{name}__original" in group_of
            and group_of.get(f"{name}__v{number}") == group_of[f"{name}__original"]
            for name in known
        )
        for number, variant in enumerate(VARIANTS)
    }
    memes = {
        kind: sum(
            f"{name}__m{number}0" in group_of
            and group_of.get(f"{name}__m{number}1") == group_of[f"{name}__m{number}0"]
            for name in known
        )
        for number, kind in enumerate(MEMES)
    }
    false: set[tuple[str, str]] = set()
    for names in found:
        roots = {name.split("__")[0] for name in names}
        false |= {pair for pair in combinations(sorted(roots), 2) if not set(pair) <= RELATED}
    return {"found": recall, "memes": memes, "false": len(false), "examples": sorted(false)[:10]}


def search_many(num_contents: int, known: list[Image.Image]) -> dict[str, object]:
    """Time the search for candidates among made-up contents, 2 % of them copies of others.

    Their views are those of real pictures with bits flipped alike in all views of a content.
    """
    rng = np.random.default_rng(1)
    real = [
        picture_views(np.asarray(one.resize((64, 64), Image.Resampling.BOX).convert("L"))) for one in known
    ]
    real = [one for one in real if len(one)]
    made, ids = [], []
    for content_id in range(num_contents):
        views = real[content_id % len(real)].copy()
        is_copy = content_id % 50 == 49
        mask = np.random.default_rng(content_id - is_copy * len(real)).integers(0, 2**63, dtype=np.uint64)
        views["hash"] ^= mask
        if is_copy:
            for bit in rng.integers(0, 63, 4).tolist():
                views["hash"] ^= np.uint64(1 << bit)
        made.append(views)
        ids += [content_id] * len(views)
    started = time.perf_counter()
    table = ViewTable(np.array(ids, np.int64), np.concatenate(made).astype(VIEW_DTYPE))
    index_s = time.perf_counter() - started
    started = time.perf_counter()
    num_candidates = num_copies = 0
    for first in range(0, num_contents, CompareWork.contents_per_lease):
        some = range(first, min(first + CompareWork.contents_per_lease, num_contents))
        found = table.candidates(some, lambda one, other: other < one)
        num_candidates += len(found)
        num_copies += sum(one - other == len(real) for one, other in found)
    all_s = time.perf_counter() - started
    started = time.perf_counter()
    table.candidates(range(num_contents - 10, num_contents), lambda one, other: other < one)
    return {
        "contents": num_contents,
        "copies": num_contents // 50,
        "copies_among_candidates": num_copies,
        "candidates": num_candidates,
        "sort_s": round(index_s, 1),
        "search_all_s": round(all_s, 1),
        "search_10_s": round(time.perf_counter() - started, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def print_table(result: dict[str, object]) -> None:
    """Print the result as Markdown."""
    found, num = result["found"], result["originals"]
    assert isinstance(found, dict)
    print(f"{num} originals, {result['pictures']} pictures, {result['drawn']} of them drawn\n")
    print("| copy | before | after |\n|---|---|---|")
    for variant in VARIANTS:
        print(f"| {variant} | {found['before'][variant]} of {num} | {found['after'][variant]} of {num} |")
    for kind in MEMES:
        before, after = (result["memes_taken_for_copies"][way][kind] for way in ("before", "after"))  # type: ignore[index]
        print(f"| *taken for copies:* memes, {kind} | {before} of {num} | {after} of {num} |")
    pairs, pictures = result["false_pairs"], result["pictures"]
    assert isinstance(pairs, dict)
    assert isinstance(pictures, int)
    rates = " | ".join(f"{1000 * pairs[way] / pictures:.2f}" for way in ("before", "after"))
    print(f"| *false pairs in 1,000 pictures* | {rates} |")
    for name in ("examples", "memes_similar", "index_s", "compare_s", "pairs", "group_s", "scale"):
        if name in result:
            print(f"{name}: {result[name]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", type=Path, action="append", default=[])
    parser.add_argument("--originals", type=int, default=1_000)
    parser.add_argument("--drawn", type=int, default=400)
    parser.add_argument("--scale", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        sources = [EXAMPLES, *arguments.others]
        known = write_pictures(Path(work) / "pictures", sources, arguments.originals, arguments.drawn)
        result = measure(Path(work) / "pictures", Path(work) / "home", list(known), arguments.drawn)
    if arguments.scale:
        result["scale"] = search_many(arguments.scale, list(known.values()))
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
