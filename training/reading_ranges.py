"""Measures the ranges of the text recogniser's layers on drawn lines, for computing them in int8.

Writes src/smallsight/reading/recogniser_ranges.json. Chinese and Japanese lines need a font that is not among
those fetched for training, for instance that of Debian's fonts-wqy-microhei; without one only Latin lines are
drawn.

Run: python -m training.reading_ranges [--lines 240] [--cjk-font FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from smallsight.graph.compiled import compile_network
from smallsight.reading.int8_layers import RANGES, layers_of
from smallsight.reading.line_recogniser import line_parts, padded_line
from smallsight.reading.ocr_networks import RECOGNISER, for_pixels, read_network, weights_folder
from training.assets import HAND_DRAWN, TEXT_FONTS, dictionary, font

HAN = (
    "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用"
    "第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间斯知世什两次使身者被高已亲其进此话常与活正感見"
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんアイウエオカキクケコサシスセソタチツテト"
)
CJK_SHARE = 0.15
LINE_PX = 48


def main() -> None:
    """Draw, run the network in float32, write the lowest and highest values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lines", type=int, default=240)
    parser.add_argument("--cjk-font", type=Path)
    arguments = parser.parse_args()
    ranges = measure(
        [draw_line(random.Random(f"line {number}"), arguments.cjk_font) for number in range(arguments.lines)]
    )
    weights = (weights_folder() / RECOGNISER).read_bytes()
    found = {"weights_sha256": hashlib.sha256(weights).hexdigest(), "ranges": ranges}
    RANGES.write_text(json.dumps(found).replace("],", "],\n") + "\n", encoding="utf-8")
    print(f"{len(ranges)} layers, {arguments.lines} lines")


def measure(lines: list[NDArray[np.uint8]]) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest input of each layer over all lines."""
    network = for_pixels(read_network(RECOGNISER))
    sources = {layer.get_friendly_name(): layer.input_value(0) for layer in layers_of(network)}
    names = [(source.get_node().get_friendly_name(), source.get_index()) for source in sources.values()]
    distinct = dict(zip(names, sources.values(), strict=True))
    network.add_outputs(list(distinct.values()))
    compiled = compile_network(lambda: network, threads=1, tuning={"INFERENCE_PRECISION_HINT": "f32"}).model
    request: ov.InferRequest = compiled.create_infer_request()
    extremes = dict.fromkeys(distinct, (0.0, 0.0))
    for part in (part for line in lines for part in line_parts(line)):
        request.infer([padded_line(part)])
        for number, name in enumerate(distinct, start=1):
            values = request.get_output_tensor(number).data
            low, high = extremes[name]
            extremes[name] = min(low, float(values.min())), max(high, float(values.max()))
    rounded = {name: (float(f"{low:.5g}"), float(f"{high:.5g}")) for name, (low, high) in extremes.items()}
    return {layer: rounded[name] for layer, name in zip(sources, names, strict=True)}


def draw_line(chance: random.Random, cjk_font: Path | None) -> NDArray[np.uint8]:
    """Return a line of text as the recogniser gets it, uint8 RGB [48, W, 3]."""
    size_px = chance.choice((13, 16, 20, 28, 34, 48, 70))
    if cjk_font is not None and chance.random() < CJK_SHARE:
        face = ImageFont.truetype(str(cjk_font), max(20, size_px))
        text = "".join(chance.choice(HAN) for _ in range(chance.randint(2, 16)))
    else:
        face = font(chance.choice([name for name in TEXT_FONTS["train"] if name not in HAND_DRAWN]), size_px)
        text = _latin(chance)
    width_px = int(face.getlength(text) + size_px * chance.uniform(0.3, 1.0)) + 4
    height_px = int(face.size * chance.uniform(1.15, 1.5))
    is_dark = chance.random() < 0.45
    ground, ink = ((0, 70), (180, 255)) if is_dark else ((190, 255), (0, 90))
    image = Image.new("RGB", (width_px, height_px), _colour(chance, *ground))
    if chance.random() < 0.4:
        blobs = np.random.default_rng(chance.getrandbits(32)).integers(
            *ground, (3, max(2, width_px // 40), 3), np.uint8
        )
        image = Image.fromarray(blobs).resize(image.size, Image.Resampling.BICUBIC)
    draw, middle = ImageDraw.Draw(image), (width_px / 2, height_px / 2)
    if chance.random() < 0.3:
        draw.text(middle, text, "white", face, "mm", stroke_width=max(1, size_px // 14), stroke_fill="black")
    else:
        draw.text(middle, text, _colour(chance, *ink), face, "mm")
    if chance.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(chance.uniform(0.2, 0.8) * size_px / 30))
    if chance.random() < 0.4:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=chance.randint(40, 90))
        image = Image.open(stream).convert("RGB")
    size = (max(16, round(LINE_PX * width_px / height_px)), LINE_PX)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def _latin(chance: random.Random) -> str:
    chosen = " ".join(chance.choice(dictionary()) for _ in range(chance.randint(1, 6)))
    number = chance.randint(0, 99_999)
    return chance.choice(
        (
            chosen,
            chosen.capitalize() + chance.choice(".?!,:"),
            chosen.upper(),
            f"{number / 100:.2f} {chance.choice(('USD', 'EUR', 'km', '%', 'x'))} {chosen}",
            f"{chance.choice(dictionary())}@{chance.choice(dictionary())}.com/{chance.choice(dictionary())}_{number}",
        )
    )


def _colour(chance: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return chance.randint(low, high), chance.randint(low, high), chance.randint(low, high)


if __name__ == "__main__":
    main()
