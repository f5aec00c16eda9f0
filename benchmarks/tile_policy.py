"""How much legible text each tile policy leaves in a picture, and how many tokens it costs.

The example pictures with text are brought to the size that each policy would show to SmolVLM-256M, and read
by the OCR engine in that size. That says what a model could see at best, not what it does see.

Run: python benchmarks/tile_policy.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from smallsight.families.messages import Detail
from smallsight.families.smolvlm.tiling import plan_tiles
from smallsight.media.decoder import PictureDecoder
from smallsight.reading.text_reader import TextReader
from smallsight.settings import Settings

EXAMPLES = Path(__file__).parents[1] / "examples"
TILE_PX, LONGEST_PX, TOKENS_PER_TILE = 512, 2048, 64


def words_of(text: str) -> set[str]:
    """Return the words of three letters or more, in lower case."""
    return {word.lower() for word in re.findall(r"\w{3,}", text)}


def main() -> None:
    """Measure each policy and print one line for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = Settings()
    described = json.loads((EXAMPLES / "pictures.json").read_text(encoding="utf-8"))["pictures"]
    found: dict[str, dict[str, float]] = {}
    with PictureDecoder(settings.limits) as decoder, TextReader(settings) as reader:
        images = []
        for one in described:
            words = words_of(" ".join(one["text"]))
            path = EXAMPLES / "pictures" / one["file"]
            if not words or not path.exists():
                continue
            decoded = decoder.decode(path.read_bytes(), max_side_px=settings.limits.max_image_side_px)
            if decoded.image_HWC is not None:
                images.append((Image.fromarray(decoded.image_HWC), words))
        for detail in Detail:
            num_words = num_read = num_tiles = 0
            for image, words in images:
                plan = plan_tiles(image.size, detail, longest_px=LONGEST_PX, tile_px=TILE_PX)
                shown = image
                for size in plan.sizes:
                    shown = shown.resize(size, Image.Resampling.LANCZOS)
                read = words_of(" ".join(line.text for line in reader.read(np.asarray(shown))))
                num_words, num_read = num_words + len(words), num_read + len(words & read)
                num_tiles += plan.num_tiles
            found[detail] = {
                "pictures": len(images),
                "words_read": num_read / num_words,
                "tiles_per_picture": num_tiles / len(images),
                "image_tokens_per_picture": TOKENS_PER_TILE * num_tiles / len(images),
            }
            print(detail, {key: round(value, 3) for key, value in found[detail].items()})
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
