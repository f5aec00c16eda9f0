"""Measures which altered copies are found if each picture has only one, and which step loses the others.

``python benchmarks/duplicate_pairs.py [--others FOLDER] [--drawn N] [--altered N] [--json FILE]`` makes,
in memory, one library per kind of alteration: all example and drawn pictures, and an altered copy of each
example and of the first drawn ones. Text is not read. Steps: views (a picture is too flat), candidates (no
near hashes), alignment (nothing alike after it), threshold (similar only), words (taken for other words),
grouping.
``duplicate_recall.py`` measures one library with all copies instead.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from duplicate_recall import EXAMPLES, MEMES, RELATED, VARIANTS, drawn, originals
from PIL import Image

from smallsight.library.alike.comparing import Facts, Thumbnail, ViewTable, compared
from smallsight.library.alike.grouping import copies
from smallsight.library.alike.pairs import AlikePair, Reason
from smallsight.library.alike.views import picture_views
from smallsight.library.stages.compare import SIDE_PX
from smallsight.media.picture_decoding import DecodeRequest, decode_picture
from smallsight.settings import IndexSettings, Limits


@dataclass(frozen=True, slots=True)
class Seen:
    """What indexing keeps of a picture."""

    views_N: npt.NDArray[np.void]
    thumbnail: Thumbnail
    facts: Facts


@dataclass(slots=True)
class Totals:
    """What all libraries took."""

    pictures: int = 0
    candidates: int = 0
    views_s: float = 0.0
    search_s: float = 0.0
    compare_s: float = 0.0
    false: set[tuple[str, str]] = field(default_factory=set)


def seen(image: Image.Image, encoding: str, totals: Totals) -> Seen:
    """Encode the picture, and look at it as the stage ``look`` does."""
    encoded = io.BytesIO()
    image.save(encoded, encoding, quality=88)
    side_px = IndexSettings().thumbnail_side_px
    decoded = decode_picture(
        encoded.getvalue(), request(encoding, thumbnail_side_px=side_px, wants_hashes=True)
    )
    started_s = time.process_time()
    views_N = picture_views(np.frombuffer(decoded.hash_grey, np.uint8).reshape(64, 64))
    totals.views_s += time.process_time() - started_s
    assert decoded.thumbnail_webp is not None
    small = decode_picture(decoded.thumbnail_webp, request("WEBP", max_side_px=SIDE_PX)).image
    totals.pictures += 1
    return Seen(views_N, np.asarray(small), Facts(encoding, *image.size))


def request(encoding: str, **wanted: int | bool) -> DecodeRequest:
    """Return a request with the limits that people have."""
    limits = Limits()
    return DecodeRequest(
        encoding, limits.max_image_pixels, limits.max_image_side_px, limits.max_frames,
        **wanted,  # type: ignore[arg-type]
    )  # fmt: skip


def pairs_of(
    library: list[tuple[str, Seen]], totals: Totals
) -> tuple[set[tuple[int, int]], dict[tuple[int, int], AlikePair]]:
    """Return the candidates in a library, and the pairs among them; the id of a content is its place."""
    ids = np.repeat(np.arange(len(library)), [len(one.views_N) for _, one in library]).astype(np.int64)
    started_s = time.process_time()
    table = ViewTable(ids, np.concatenate([one.views_N for _, one in library]))
    candidates = table.candidates(range(len(library)), lambda one, other: other < one)
    searched_s = time.process_time()
    facts = {number: one.facts for number, (_, one) in enumerate(library)}
    found = list(compared(candidates, lambda number: library[number][1].thumbnail, facts))
    totals.compare_s += time.process_time() - searched_s
    totals.search_s += searched_s - started_s
    totals.candidates += len(candidates)
    for pair in found:
        ends = sorted((library[pair.first_id][0], library[pair.second_id][0]))
        if pair.is_same and ends[0] != ends[1] and not set(ends) <= RELATED:
            totals.false.add((ends[0], ends[1]))
    return {(min(key), max(key)) for key in candidates}, {(one.first_id, one.second_id): one for one in found}


def steps(library: list[tuple[str, Seen]], num_first: int, totals: Totals) -> dict[str, Counter[str]]:
    """Return how many copies, those after the first contents of a library, each step lost, or were found."""
    candidates, pairs = pairs_of(library, totals)
    same = {key: pair for key, pair in pairs.items() if pair.is_same}
    apart = {key for key, pair in pairs.items() if Reason.OTHER_WORDS in pair.reasons}
    group_of = {one: group for group in copies(same, apart, lambda _one, _other: False) for one in group}
    place_of = {name: place for place, (name, _) in enumerate(library[:num_first])}
    result = {"examples": Counter[str](), "drawn": Counter[str]()}
    for place, (name, one) in enumerate(library[num_first:], num_first):
        key = place_of[name], place
        pair = pairs.get(key)
        if not len(one.views_N) or not len(library[key[0]][1].views_N):
            step = "views"
        elif key not in candidates:
            step = "candidates"
        elif pair is None:
            step = "alignment"
        elif not pair.is_same:
            step = "words" if Reason.OTHER_WORDS in pair.reasons else "threshold"
        elif place not in group_of.get(key[0], ()):
            step = "grouping"
        else:
            step = "found"
        result["drawn" if name.startswith("drawn") else "examples"].update(
            [step, "all", *(["by pair"] if step in {"found", "grouping"} else [])]
        )
    return result


def measure(known: dict[str, Image.Image], num_drawn: int, num_altered: int) -> dict[str, object]:
    """Make a library for each kind, and compare all in it."""
    totals = Totals()
    made = {f"drawn{number}": image for number, image in enumerate(drawn(num_drawn))}
    whole = [(name, seen(image, "PNG", totals)) for name, image in (known | made).items()]
    altered = known | dict(list(made.items())[:num_altered])
    by_kind: dict[str, object] = {}
    for kind, alter in VARIANTS.items():
        changed = [(name, seen(alter(image), "JPEG", totals)) for name, image in altered.items()]
        by_kind[kind] = steps(whole + changed, len(whole), totals)
    memes: dict[str, list[str]] = {}
    for kind, ways in MEMES.items():
        library = [
            (name, seen(way(image), "JPEG", totals)) for way in ways for name, image in altered.items()
        ]
        _, pairs = pairs_of(library, totals)
        num = len(altered)
        same = (place for place in range(num) if (found := pairs.get((place, place + num))) and found.is_same)
        memes[kind] = [library[place][0] for place in same]
    wrong = [pair for pair in combinations(sorted(known | made), 2) if pair in totals.false]
    return {
        "kinds": by_kind,
        "memes_taken_for_copies": memes,
        "memes": len(altered),
        "false_pairs": wrong,
        "different_pictures": len(whole),
        "views_ms_a_picture": round(1000 * totals.views_s / totals.pictures, 2),
        "search_ms_a_pair": round(1000 * totals.search_s / totals.candidates, 2),
        "compare_ms_a_pair": round(1000 * totals.compare_s / totals.candidates, 2),
        "candidates": totals.candidates,
    }


def print_table(result: dict[str, object]) -> None:
    """Print the result as Markdown."""
    print(
        "| copy | examples by pair | in a group | drawn by pair | in a group | lost by |\n" + "|---" * 6 + "|"
    )
    kinds, memes = result["kinds"], result["memes_taken_for_copies"]
    assert isinstance(kinds, dict)
    assert isinstance(memes, dict)
    for kind, parts in kinds.items():
        cells = [
            f"{parts[part][way]} of {parts[part]['all']}" for part in parts for way in ("by pair", "found")
        ]
        lost = sum(parts.values(), Counter[str]())
        why = ", ".join(
            f"{name} {num}" for name, num in lost.items() if name not in {"found", "all", "by pair"}
        )
        print(f"| {kind} | {' | '.join(cells)} | {why or '-'} |")
    for kind, names in memes.items():
        print(f"memes taken for copies, {kind}: {len(names)} of {result['memes']}: {', '.join(names)}")
    for name in list(result)[3:]:
        print(f"{name}: {result[name]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", type=Path, action="append", default=[])
    parser.add_argument("--drawn", type=int, default=300)
    parser.add_argument("--altered", type=int, default=60, help="drawn pictures of which copies are made")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    known = dict(originals([EXAMPLES, *arguments.others]))
    result = measure(known, arguments.drawn, arguments.altered)
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
