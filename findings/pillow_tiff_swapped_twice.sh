#!/usr/bin/env bash
# Pillow: a big-endian grey TIFF is read as written while it is plain, and as noise once it is compressed, without an error.
#
# Version: pillow 13.0.0, tifffile 2026.3.3 to write and check the files, numpy 2.4.6, Python 3.11.
# Behaviour: numbers are written big-endian, as ImageJ writes them, once plain and once with deflate, which loses nothing.
#   Of 16-bit integers with a sign, 32-bit integers and 32-bit floats, the compressed file comes back with the bytes of
#   each number reversed: libtiff gives native numbers, and Pillow unpacks these as big-endian ones. 16 bits without a
#   sign are right, because TiffImagePlugin replaces their layout for libtiff, and theirs only.
# Workaround: before load(), replace I;16BS, I;32BS and F;32BF in image.tile by I;16NS, I;32NS and F;32NF.
# Output seen:
#   uint16: plain as written, deflate as written
#   int16: plain as written, deflate with its bytes reversed
#   int32: plain as written, deflate with its bytes reversed
#   float32: plain as written, deflate with its bytes reversed
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
cat > "$folder/swapped.py" <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image

for kind in ("uint16", "int16", "int32", "float32"):
    written = (np.linspace(0, 1, 100) * 12_345).astype(kind).reshape(10, 10)
    same = []
    for compression in (None, "zlib"):
        file = io.BytesIO()
        tifffile.imwrite(file, written, byteorder=">", compression=compression, photometric="minisblack")
        file.seek(0)
        assert np.array_equal(tifffile.imread(file), written)
        with Image.open(file) as image:
            read = np.asarray(image)
        name = "plain" if compression is None else "deflate"
        if np.array_equal(read, written):
            same.append(f"{name} as written")
        elif np.array_equal(read.astype(kind).byteswap(), written):
            same.append(f"{name} with its bytes reversed")
        else:
            same.append(f"{name} otherwise wrong")
    print(f"{kind}: {', '.join(same)}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/swapped.py")
echo "$seen"
[ "$seen" = "uint16: plain as written, deflate as written
int16: plain as written, deflate with its bytes reversed
int32: plain as written, deflate with its bytes reversed
float32: plain as written, deflate with its bytes reversed" ] || { echo "this has changed"; exit 1; }
