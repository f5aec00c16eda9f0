#!/usr/bin/env bash
# Pillow: BMPs whose header says where the colours are read only in some orders; 16 bits with transparency become opaque.
#
# Version: pillow 13.0.0, av 18.1.0 (FFmpeg's encoder of BMP), numpy 2.4.6, Python 3.11.
# Behaviour: with BI_BITFIELDS, masks say which bits of a pixel are red, green, blue and alpha. Pillow compares them with a
#   list of layouts. FFmpeg's BMP of rgb444le is not on it, nor are 32-bit pixels with red in the first byte and no alpha,
#   which raise OSError, not UnidentifiedImageError. Of 16 bits, only the colours are compared: a picture in A1R5G5B5,
#   as GIMP and Photoshop export it, opens in the mode RGB, and what was transparent shows whatever colour lies there.
# Workaround: read the masks at byte 54 of the file, and take each channel as (pixel & mask) / mask.
# Output seen:
#   FFmpeg, rgb565le: [[255, 0, 0], [0, 133, 255]]
#   FFmpeg, rgb444le: OSError: Unsupported BMP bitfields layout
#   32 bits, blue first: [[255, 0, 0], [0, 136, 255]]
#   32 bits, red first: OSError: Unsupported BMP bitfields layout
#   A8R8G8B8, the right half transparent: mode RGBA [[255, 0, 0, 255], [0, 136, 255, 0]]
#   A1R5G5B5, the right half transparent: mode RGB [[255, 0, 0], [0, 139, 255]]
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6 av==18.1.0
cat > "$folder/masks.py" <<'PYTHON'
import io
import struct
from fractions import Fraction

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 8, 4
RGB = np.array([[(255, 0, 0)] * 4 + [(0, 136, 255)] * 4] * HEIGHT, np.uint8)


def encoded(pixel_format):
    encoder = av.CodecContext.create("bmp", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, pixel_format
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(RGB, format="rgb24").reformat(format=pixel_format)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode()])


def written(bits, masks):
    """A BITMAPV4HEADER, and pixels of which the right half has no alpha."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint64)
    for channel, mask in enumerate(masks):
        if mask:
            values = RGB[..., channel] / 255 if channel < 3 else np.repeat([1, 0], 4)
            pixels += np.round(values * (mask // (mask & -mask))).astype(np.uint64) * np.uint64(mask & -mask)
    body = pixels.astype(f"<u{bits // 8}").tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, WIDTH, HEIGHT, 1, bits, 3, len(body), 2835, 2835, 0, 0)
    header += struct.pack("<4I", *masks) + b"BGRs" + bytes(48)
    return struct.pack("<2sIII", b"BM", 14 + len(header) + len(body), 0, 14 + len(header)) + header + body


def show(name, data, says_mode=False):
    try:
        with Image.open(io.BytesIO(data)) as image:
            mode = f"mode {image.mode} " if says_mode else ""
            print(f"{name}: {mode}{np.asarray(image)[0, [0, -1]].tolist()}")
    except OSError as error:
        print(f"{name}: {type(error).__name__}: {error}")


show("FFmpeg, rgb565le", encoded("rgb565le"))
show("FFmpeg, rgb444le", encoded("rgb444le"))
show("32 bits, blue first", written(32, (0xFF0000, 0xFF00, 0xFF, 0)))
show("32 bits, red first", written(32, (0xFF, 0xFF00, 0xFF0000, 0)))
right = "the right half transparent"
show(f"A8R8G8B8, {right}", written(32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), says_mode=True)
show(f"A1R5G5B5, {right}", written(16, (0x7C00, 0x3E0, 0x1F, 0x8000)), says_mode=True)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/masks.py")
echo "$seen"
[ "$seen" = "FFmpeg, rgb565le: [[255, 0, 0], [0, 133, 255]]
FFmpeg, rgb444le: OSError: Unsupported BMP bitfields layout
32 bits, blue first: [[255, 0, 0], [0, 136, 255]]
32 bits, red first: OSError: Unsupported BMP bitfields layout
A8R8G8B8, the right half transparent: mode RGBA [[255, 0, 0, 255], [0, 136, 255, 0]]
A1R5G5B5, the right half transparent: mode RGB [[255, 0, 0], [0, 139, 255]]" ] || { echo "this has changed"; exit 1; }
