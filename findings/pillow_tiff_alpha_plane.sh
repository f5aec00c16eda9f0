#!/usr/bin/env bash
# Pillow: an opaque grey TIFF with its alpha in a plane of its own becomes wholly transparent, without an error.
#
# Version: pillow 13.0.0, tifffile 2026.3.3 to write and check the files, numpy 2.4.6, Python 3.11.
# Behaviour: grey with an alpha that is 255 everywhere is written with pixels together and in planes, plain and with
#   deflate. In planes and compressed, the grey comes back and the alpha is 0 everywhere, so that a program that heeds
#   it shows nothing; in planes and plain, loading raises ValueError. tifffile reads all four as written.
# Workaround: where image.mode is "LA" and image.tag_v2[284] is 2, ignore the alpha of a compressed file.
# Output seen:
#   plain, contig: grey [0, 64, 128, 192], alpha [255, 255, 255, 255]
#   plain, separate: ValueError: unknown raw mode for given image mode
#   deflate, contig: grey [0, 64, 128, 192], alpha [255, 255, 255, 255]
#   deflate, separate: grey [0, 64, 128, 192], alpha [0, 0, 0, 0]
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
cat > "$folder/planes.py" <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image

grey, alpha = np.repeat(np.arange(0, 256, 64, dtype=np.uint8)[None], 8, axis=0), np.full((8, 4), 255, np.uint8)
for compression in (None, "zlib"):
    for layout, pixels in (("contig", np.stack([grey, alpha], 2)), ("separate", np.stack([grey, alpha]))):
        file = io.BytesIO()
        tifffile.imwrite(
            file,
            pixels,
            photometric="minisblack",
            planarconfig=layout,
            extrasamples=["unassalpha"],
            compression=compression,
        )
        file.seek(0)
        assert np.array_equal(tifffile.imread(file), pixels)
        file.seek(0)
        name = f"{'plain' if compression is None else 'deflate'}, {layout}"
        try:
            with Image.open(file) as image:
                read = np.asarray(image)
            print(f"{name}: grey {read[0, :, 0].tolist()}, alpha {read[0, :, 1].tolist()}")
        except ValueError as error:
            print(f"{name}: ValueError: {error}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/planes.py")
echo "$seen"
[ "$seen" = "plain, contig: grey [0, 64, 128, 192], alpha [255, 255, 255, 255]
plain, separate: ValueError: unknown raw mode for given image mode
deflate, contig: grey [0, 64, 128, 192], alpha [255, 255, 255, 255]
deflate, separate: grey [0, 64, 128, 192], alpha [0, 0, 0, 0]" ] || { echo "this has changed"; exit 1; }
