#!/usr/bin/env bash
# Chromium: an animated AVIF that Pillow wrote is shown with other greys than the still one with the same pixels.
#
# Version: Debian's chromium 156.0.8078.108, pillow 13.0.0 (libavif 1.4.2), playwright 1.65.2, Python 3.11.
# Behaviour: both files say "full range" in their colr box (the animated one in the item's and in the track's). Chromium
#   takes the still one so. It stretches the animated one as if its values went from 16 to 235: grey 60 becomes 51, 120
#   becomes 121, 180 becomes 191 and 240 becomes 255. Pillow, and FFmpeg through PyAV, read the numbers that were drawn.
# Output seen:
#   still: 60 120 180 240
#   animated: 51 121 191 255
# Exits 1 if this changes, and 0 with a sentence where there is no chromium.
set -euo pipefail
program=$(command -v chromium) || { echo "no chromium here"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check playwright==1.65.2 pillow==13.0.0
cat > "$folder/show.py" <<'PYTHON'
import base64
import io
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

GREYS = (60, 120, 180, 240)
READ = """async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(32, 24).getContext("2d");
    canvas.drawImage(image, 0, 0);
    return canvas.getImageData(16, 12, 1, 1).data[0];
}"""


def avif(grey, **options):
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), (grey,) * 3).save(buffer, "AVIF", **options)
    return "data:image/avif;base64," + base64.b64encode(buffer.getvalue()).decode()


with sync_playwright() as started:
    browser = started.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
    page = browser.new_page()
    black = Image.new("RGB", (32, 24))
    for name, options in (
        ("still", {}),
        ("animated", {"save_all": True, "append_images": [black], "duration": 60_000}),
    ):
        print(f"{name}:", *(page.evaluate(READ, avif(grey, **options)) for grey in GREYS))
    browser.close()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py" "$program")
echo "$seen"
[ "$seen" = "still: 60 120 180 240
animated: 51 121 191 255" ] || { echo "this has changed"; exit 1; }
