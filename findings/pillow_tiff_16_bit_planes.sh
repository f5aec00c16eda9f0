#!/usr/bin/env bash
# Pillow: a TIFF with 16-bit colours in separate planes opens without an error and in other colours, unless compressed.
#
# Version: pillow 13.0.0, tifffile 2026.3.3 to write the files (with imagecodecs 2026.3.6 for LZW), numpy 2.4.6, Python 3.11.
# Behaviour: with PlanarConfiguration 2 and 16 bits, Pillow reads each plane with the raw mode "R", "G" or "B", which is
#   one byte for each pixel: it shows half of each plane, as 8 bits. Nothing is raised or warned of. The same pixels in
#   LZW are right, since libtiff's planes are read as "R;16N". Scanners and programs of science write such files.
# Workaround: before load(), replace the raw mode of each tile by "R;16L", "R;16B" for a big-endian file.
# Output seen (the pixels are red, green, blue and white):
#   none, little-endian: [(255, 0, 0), (255, 0, 0), (255, 0, 0), (255, 0, 0)]
#   none, big-endian: [(255, 0, 0), (255, 0, 0), (255, 0, 0), (255, 0, 0)]
#   lzw, little-endian: [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
#   none, little-endian, as R;16L: [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6 \
    tifffile==2026.3.3 imagecodecs==2026.3.6
cat > "$folder/planes.py" <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image

SIDE = 32
planes = np.zeros((3, SIDE, SIDE), np.uint16)
half = SIDE // 2
planes[0, :half, :half] = planes[1, :half, half:] = planes[2, half:, :half] = 65535
planes[:, half:, half:] = 65535


def written(compression, order):
    file = io.BytesIO()
    tifffile.imwrite(
        file, planes, photometric="rgb", planarconfig="separate", compression=compression, byteorder=order
    )
    return Image.open(file)


def quarters(image):
    at = half // 2
    return [image.getpixel((x, y)) for y in (at, half + at) for x in (at, half + at)]


for compression, order in ((None, "<"), (None, ">"), ("lzw", "<")):
    endian = "little" if order == "<" else "big"
    print(f"{compression or 'none'}, {endian}-endian: {quarters(written(compression, order))}")
image = written(None, "<")
image.tile = [one._replace(args=(f"{one.args[0]};16L", *one.args[1:])) for one in image.tile]
print(f"none, little-endian, as R;16L: {quarters(image)}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/planes.py")
echo "$seen"
wrong="[(255, 0, 0), (255, 0, 0), (255, 0, 0), (255, 0, 0)]"
right="[(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]"
[ "$seen" = "none, little-endian: $wrong
none, big-endian: $wrong
lzw, little-endian: $right
none, little-endian, as R;16L: $right" ] || { echo "this has changed"; exit 1; }
