#!/usr/bin/env bash
# Pillow: a page of a TIFF without a colour profile keeps the profile of whichever page was looked at before it.
#
# Version: pillow 13.0.0, tifffile 2026.3.3 to write and check the file, numpy 2.4.6, Python 3.11.
# Behaviour: of two pages the first has an ICC profile, the second none. After seek(1), info["icc_profile"] is that of the
#   first page, and the second one has it only so: opened alone it has none. Going back shows the same the other way
#   round: of pages without and with one, the first gets one once the second has been seen. A program that converts each
#   page to sRGB, as the documentation of ImageCms has it, changes the colours of pages that are sRGB already.
#   "xmp", in the same dictionary, is removed by seek() where a page has none.
# Workaround: where 34675 is not in image.tag_v2, ignore info["icc_profile"].
# Output seen:
#   pages with [True, False]: tag [True, False], info [True, True]
#   pages with [False, True]: tag [False, True], info [False, True], back on the first True
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6 tifffile==2026.3.3
cat > "$folder/pages.py" <<'PYTHON'
import io

import numpy as np
import tifffile
from PIL import Image, ImageCms

profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
red = np.full((8, 8, 3), (200, 0, 0), np.uint8)


def written(has_profile):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for has in has_profile:
            writer.write(red, photometric="rgb", iccprofile=profile if has else None, metadata=None)
    file.seek(0)
    with tifffile.TiffFile(file) as check:
        assert [page.iccprofile is not None for page in check.pages] == has_profile
    file.seek(0)
    return file


for has_profile in ([True, False], [False, True]):
    with Image.open(written(has_profile)) as image:
        tags, infos = [], []
        for page in range(2):
            image.seek(page)
            tags.append(34675 in image.tag_v2)
            infos.append("icc_profile" in image.info)
        image.seek(0)
        back = "" if has_profile[0] else f", back on the first {'icc_profile' in image.info}"
        print(f"pages with {has_profile}: tag {tags}, info {infos}{back}")
PYTHON
seen=$("$folder/venv/bin/python" "$folder/pages.py")
echo "$seen"
[ "$seen" = "pages with [True, False]: tag [True, False], info [True, True]
pages with [False, True]: tag [False, True], info [False, True], back on the first True" ] ||
    { echo "this has changed"; exit 1; }
