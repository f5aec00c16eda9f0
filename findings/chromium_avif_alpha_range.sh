#!/usr/bin/env bash
# Chromium: the transparency of a still AVIF is stretched, as if its full range were that of television.
#
# Version: Debian's chromium 156.0.8078.114, pillow 13.0.0 (libavif 1.4.2), av 18.1.0, playwright 1.65.2, Python 3.11.
# Behaviour: one picture with four values of alpha is saved as AVIF and as WebP. The alpha in the AVIF is an AV1 picture
#   of its own, whose sequence header says full range, as the AVIF specification has it; FFmpeg through PyAV reads
#   from it the range and the values that were drawn, Pillow too. Chromium shows the WebP so, and in the AVIF
#   (a - 16) * 255 / 219: what is nearly transparent vanishes, what is nearly opaque becomes opaque. See
#   chromium_animated_avif_range.sh, where the same befalls colours.
# Output seen:
#   range of the alpha: full, values 16 60 120 180 240
#   webp: 16 60 120 180 240
#   avif: 0 51 121 191 255
# Exits 1 if this changes, and 0 with a sentence where there is no chromium.
set -euo pipefail
program=$(command -v chromium) || { echo "no chromium here"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check playwright==1.65.2 pillow==13.0.0 av==18.1.0
cat > "$folder/show.py" <<'PYTHON'
import base64
import io
import sys

import av
from PIL import Image
from playwright.sync_api import sync_playwright

ALPHAS = (16, 60, 120, 180, 240)
SIDE_PX = 32
READ = """async ([address, xs]) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    return xs.map(x => canvas.getImageData(x, 16, 1, 1).data[3]);
}"""

drawn = Image.new("RGBA", (SIDE_PX * len(ALPHAS), SIDE_PX))
middles = [SIDE_PX * number + SIDE_PX // 2 for number in range(len(ALPHAS))]
for number, alpha in enumerate(ALPHAS):
    drawn.paste((200, 60, 30, alpha), (SIDE_PX * number, 0, SIDE_PX * (number + 1), SIDE_PX))
files = {}
for kind, options in (("webp", {"lossless": True}), ("avif", {"quality": 100, "subsampling": "4:4:4"})):
    buffer = io.BytesIO()
    drawn.save(buffer, kind, **options)
    files[kind] = buffer.getvalue()

with av.open(io.BytesIO(files["avif"])) as opened:
    frame = next(opened.decode(opened.streams.video[1]))
    row = bytes(frame.planes[0])[16 * frame.planes[0].line_size :]
    told = "full" if int(frame.color_range) == 2 else "not full"
    print(f"range of the alpha: {told}, values", *(row[x] for x in middles))

with sync_playwright() as started:
    browser = started.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
    page = browser.new_page()
    for kind, data in files.items():
        address = f"data:image/{kind};base64," + base64.b64encode(data).decode()
        print(f"{kind}:", *page.evaluate(READ, [address, middles]))
    browser.close()
PYTHON
seen=$("$folder/venv/bin/python" "$folder/show.py" "$program")
echo "$seen"
[ "$seen" = "range of the alpha: full, values 16 60 120 180 240
webp: 16 60 120 180 240
avif: 0 51 121 191 255" ] || { echo "this has changed"; exit 1; }
