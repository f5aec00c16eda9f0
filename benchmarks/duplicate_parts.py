"""Measures which crops, borders and captions are found once a model has called two pictures alike.

``python benchmarks/duplicate_parts.py [--drawn N] [--altered N] [--json FILE]`` alters example and drawn
pictures further than ``duplicate_recall.py``, and compares each with its original as the stages ``compare``
(candidates by hashes) and ``compare_looks`` (candidates by vectors) do. No model is here that knows
photographs: for recall each copy is a candidate, so that it is that of the pixels' check alone; for false
groups each picture is compared with the ``--others`` pictures nearest to it by a miniature in colour.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from duplicate_pairs import Seen, Totals, pairs_of, seen
from duplicate_recall import EXAMPLES, RELATED, Alter, border, caption, crop, drawn, originals
from PIL import Image, ImageDraw, ImageFont

from smallsight.library.alike.comparing import compared
from smallsight.library.stages.compare_looks import CandidatePictures

_MINIATURE = (8, 8)


def cut(top: float, bottom: float, left: float, right: float) -> Alter:
    """Return what keeps this part, in fractions of the sides."""

    def alter(image: Image.Image) -> Image.Image:
        across, down = image.width, image.height
        box = round(left * across), round(top * down), round(right * across), round(bottom * down)
        return image.crop(box)

    return alter


def in_an_app(image: Image.Image) -> Image.Image:
    """Return the image on a telephone's screen, with a dark bar, a name, a text and buttons."""
    width = image.width
    bar = max(30, round(0.35 * image.width))
    made = Image.new("RGB", (width, image.height + 2 * bar), (24, 26, 30))
    made.paste(image, (0, bar))
    drawing = ImageDraw.Draw(made)
    font = ImageFont.load_default(size=max(10, bar // 4))
    drawing.text((width * 0.18, bar * 0.35), "somebody · 3 h", fill="white", font=font)
    drawing.ellipse((width * 0.03, bar * 0.3, width * 0.03 + bar * 0.4, bar * 0.7), fill=(90, 140, 220))
    drawing.text((width * 0.05, image.height + bar * 1.3), "1,204 likes", fill="white", font=font)
    return made


VARIANTS: dict[str, Alter] = {
    "crop 5 % a side": crop(0.05),
    "crop 15 % a side": crop(0.15),
    "crop 25 % a side": crop(0.25),
    "upper left 60 %": cut(0.0, 0.6, 0.0, 0.6),
    "right half": cut(0.0, 1.0, 0.5, 1.0),
    "middle strip, 40 % high": cut(0.3, 0.7, 0.0, 1.0),
    "border 10 %, black": border(0.10, "black"),
    "border 30 %, white": border(0.30, "white"),
    "caption bar above": caption("when you see it again and again", is_above=True),
    "a post in an app": in_an_app,
}


def measure(num_drawn: int, num_altered: int, num_others: int) -> dict[str, object]:
    """Alter pictures, and compare."""
    totals = Totals()
    examples = dict(originals([EXAMPLES]))
    made = {f"drawn{number}": image for number, image in enumerate(drawn(num_drawn))}
    whole = {name: seen(image, "PNG", totals) for name, image in (examples | made).items()}
    altered = examples | dict(list(made.items())[:num_altered])
    kinds: dict[str, dict[str, int]] = {}
    checked_s, num_checked = 0.0, 0
    for kind, alter in VARIANTS.items():
        found = {"by hashes": 0, "by either": 0, "all": len(altered)}
        for name, image in altered.items():
            pair = [(name, whole[name]), (name, seen(alter(image), "JPEG", totals))]
            by_hashes = any(one.is_same for one in pairs_of(pair, totals)[1].values())
            started_s = time.process_time()
            by_pixels = is_copy(pair[0][1], pair[1][1])
            checked_s += time.process_time() - started_s
            num_checked += 1
            found["by hashes"] += by_hashes
            found["by either"] += by_hashes or by_pixels
        kinds[kind] = found
    started_s = time.process_time()
    num_compared, false = false_pairs({**examples, **made}, whole, num_others)
    return {
        "kinds": kinds,
        "pictures": len(whole),
        "false": false,
        "compared": num_compared,
        "check_ms_a_copy": round(1000 * checked_s / num_checked, 1),
        "check_ms_a_different_pair": round(
            1000 * (time.process_time() - started_s) / max(1, num_compared), 1
        ),
    }


def is_copy(one: Seen, other: Seen) -> bool:
    """Return what the stage ``compare_looks`` decides about two pictures."""
    pictures = (one, other)
    kept = CandidatePictures(lambda number: pictures[number].thumbnail)
    alignments = kept.alignments(0, 1)
    facts = {number: picture.facts for number, picture in enumerate(pictures)}
    found = list(compared({(0, 1): alignments} if alignments else {}, kept.thumbnail, facts))
    return any(pair.is_same for pair in found)


def false_pairs(
    images: dict[str, Image.Image], whole: dict[str, Seen], num_others: int
) -> tuple[int, list[tuple[str, str]]]:
    """Compare each picture with those nearest to it by a miniature; return how many pairs, and the copies."""
    names = list(images)
    small_ND = np.stack(
        [
            np.asarray(image.convert("RGB").resize(_MINIATURE, Image.Resampling.BOX), np.float32).ravel()
            for image in images.values()
        ]
    )
    small_ND -= small_ND.mean(axis=0)
    small_ND /= np.linalg.norm(small_ND, axis=1, keepdims=True)
    near = np.argsort(-(small_ND @ small_ND.T), axis=1)[:, 1 : num_others + 1]
    pairs = sorted({tuple(sorted((row, int(other)))) for row, others in enumerate(near) for other in others})
    wrong = [
        (names[one], names[other])
        for one, other in pairs
        if not {names[one], names[other]} <= RELATED and is_copy(whole[names[one]], whole[names[other]])
    ]
    return len(pairs), wrong


def print_table(result: dict[str, object]) -> None:
    """Print the result as Markdown."""
    print("| copy | by hashes | by hashes or vectors |\n|---|---|---|")
    kinds = result["kinds"]
    assert isinstance(kinds, dict)
    for kind, found in kinds.items():
        cells = (f"{found[way]} of {found['all']}" for way in ("by hashes", "by either"))
        print(f"| {kind} | {' | '.join(cells)} |")
    for name in list(result)[1:]:
        print(f"{name}: {result[name]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawn", type=int, default=60)
    parser.add_argument("--altered", type=int, default=20, help="drawn pictures of which copies are made")
    parser.add_argument("--others", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = measure(arguments.drawn, arguments.altered, arguments.others)
    print_table(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
