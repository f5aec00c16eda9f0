#!/usr/bin/env bash
# Pillow: grey TIFFs that count from white are turned into positives with 1 and 8 bits, but stay negatives with 16 and 32.
#
# Version: pillow 13.0.0, tifffile 2026.3.3 to write the files, numpy 2.4.6, Python 3.11.
# Behaviour: PhotometricInterpretation 0 (WhiteIsZero, what X-ray and film scanners write) is applied while bilevel and
#   8-bit grey is unpacked. Of 16-bit integers and 32-bit floats the numbers come as they are in the file, in the modes
#   "I;16" and "F", which say nothing of it: white and black are swapped, and no program that looks at the mode can know.
# Workaround: where image.tag_v2[262] is 0 and the mode is "I;16" or "F", subtract the pixels from the white that counts.
# Output seen (black and white are written, in this order):
#   bool: [0, 255]
#   uint8: [0, 255]
#   uint16: [65535, 0]
#   float32: [1.0, 0.0]
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
cat > "$folder/negatives.py" <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image

for kind, most in (("bool", 1), ("uint8", 255), ("uint16", 65535), ("float32", 1)):
    stored = np.repeat(np.array([[most, 0]], kind), 8, axis=1)
    file = io.BytesIO()
    tifffile.imwrite(file, stored, photometric="miniswhite")
    with Image.open(file) as image:
        print(f"{kind}: {[image.getpixel((x, 0)) for x in (0, 15)]}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/negatives.py")
echo "$seen"
[ "$seen" = "bool: [0, 255]
uint8: [0, 255]
uint16: [65535, 0]
float32: [1.0, 0.0]" ] || { echo "this has changed"; exit 1; }
