"""Scenes without any words that look like holiday photographs: sea, mountains, snow, balloons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from drawing.canvas import Canvas, Point, mix
from drawing.texture import Plane, clouds, photograph, veil


def _sky_clouds(
    canvas: Canvas,
    tone: tuple[int, int, int],
    box: tuple[int, int],
    cell_px: tuple[float, float],
    seed: int,
    cover: float,
) -> None:
    """Lay clouds over the top ``box`` (width, height) of the picture, thinner towards the horizon."""
    width, height = box
    shape_HW = np.clip((clouds(width, height, cell_px, 5, seed) - (1 - cover)) / cover, 0, 1) ** 1.3
    fade = np.linspace(1, 0.25, height)[:, None]
    canvas.paste(veil(tone, shape_HW * fade).resize((width * canvas.scale, height * canvas.scale)), 0, 0)


def _ridge(
    width: int, middle: float, height: float, seed: int, roughness: float = 0.52
) -> npt.NDArray[np.float64]:
    """Return the height of a mountain ridge for each column, by halving."""
    rng = np.random.default_rng(seed)
    line = np.array([0.0, 0.0])
    spread = height
    while len(line) < width:
        halves = (line[:-1] + line[1:]) / 2 + rng.uniform(-spread, spread, len(line) - 1)
        line = np.insert(line, range(1, len(line)), halves)
        spread *= roughness
    return np.asarray(middle + np.interp(np.linspace(0, 1, width), np.linspace(0, 1, len(line)), line))


def _fill_under(canvas: Canvas, ridge: npt.NDArray[np.float64], low: float, fill: str) -> None:
    points = [(float(x), float(y)) for x, y in enumerate(ridge)]
    canvas.polygon([(0, low), *points, (len(points), low)], fill)


def _glitter(
    canvas: Canvas, top: float, x: float, tone: str, *, seed: int, spread: float, amount: int
) -> None:
    """Scatter short strokes of light on water below ``top``, wider with nearness."""
    rng = np.random.default_rng(seed)
    for _ in range(amount):
        depth = float(rng.random()) ** 1.5
        y = top + 3 + depth * (canvas.height_px - top)
        half = 3 + depth * 26 * float(rng.uniform(0.4, 1))
        left = x + float(rng.normal(0, spread * (0.25 + depth)))
        canvas.oval(left, y, half, 0.7 + depth * 2.2, tone)


def sunset() -> Image.Image:
    """Draw the sun going down over the sea."""
    canvas = Canvas(1100, 700, scale=2)
    canvas.gradient(
        [(0, "#2c2f6b"), (0.35, "#a4508b"), (0.62, "#f57f5b"), (0.8, "#fdc46b"), (1, "#ffe6a3")],
        (0, 0, 1100, 430),
    )
    _sky_clouds(canvas, (255, 190, 150), (1100, 330), (520, 52), 8, 0.55)
    _sky_clouds(canvas, (120, 50, 110), (1100, 260), (640, 40), 31, 0.42)
    canvas.glow(620, 392, 330, "#fff0b0e0", power=2.6)
    canvas.oval(620, 384, 54, 54, "#fff6cf")
    canvas.gradient(
        [(0, "#f3a262"), (0.12, "#b8607a"), (0.5, "#4b3a70"), (1, "#1e1c44")], (0, 430, 1100, 700)
    )
    waves = clouds(1100, 270, (120, 9), 3, 17)
    canvas.paste(veil((30, 20, 60), np.clip(waves - 0.45, 0, 1) * 1.3).resize((2200, 540)), 0, 430)
    _glitter(canvas, 430, 620, "#ffd98ab0", seed=3, spread=80, amount=420)
    _glitter(canvas, 430, 620, "#fff4cfd0", seed=4, spread=34, amount=220)
    canvas.blob([(-60, 436), (60, 404), (170, 412), (260, 428), (330, 436)], "#33264f")
    canvas.box((0, 430, 340, 434), "#33264f")
    for x, y, size in ((300, 190, 15), (350, 168, 11), (396, 200, 9), (820, 130, 10)):
        canvas.curve(
            [
                (x - size, y - size * 0.4),
                (x - size * 0.4, y - size * 0.7),
                (x, y),
                (x + size * 0.4, y - size * 0.7),
                (x + size, y - size * 0.4),
            ],
            "#2b1c3c",
            2.4,
        )
    return photograph(canvas.finish(), seed=1, grain=4, edges=0.3)


def misty_mountains() -> Image.Image:
    """Draw mountains and a lake in mist, in grey levels of 16 bits."""
    width, height, horizon = 900, 600, 400
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    light: Plane = 0.93 - 0.28 * np.clip(rows / horizon, 0, 1) ** 0.8 + 0 * columns
    light = light + (clouds(width, height, (420, 110), 4, 2) - 0.5) * 0.16 * (rows < horizon)
    layers = ((300, 330, 41, 0.64), (330, 220, 33, 0.48), (350, 110, 12, 0.33), (384, 46, 18, 0.18))
    for middle, rise, seed, tone in layers:
        ridge = _ridge(width, middle, rise, seed)[None]
        inside = np.clip(rows - ridge, 0, 1)
        mist = tone + 0.34 * np.clip((rows - ridge) / 150, 0, 1) ** 1.4
        light = light * (1 - inside) + mist * inside
    lake = light[horizon - 1 :: -1][: height - horizon]
    sway = (clouds(width, height - horizon, (90, 8), 3, 6) - 0.5) * np.linspace(0.02, 0.12, height - horizon)[
        :, None
    ]
    light[horizon:] = lake * 0.8 + 0.02 + sway
    shore = np.exp(-(((rows - horizon) / 3.0) ** 2)) * 0.2
    light = np.clip(light - shore, 0, 1)
    across = np.linspace(-1, 1, width)[None]
    light = light * (1 - 0.22 * across**2)
    return Image.fromarray((np.round(light * 1023) * 64).astype(np.uint16))


def _fir(canvas: Canvas, x: float, foot: float, tall: float, needles: str, rng: np.random.Generator) -> None:
    """Draw one snowy fir that stands at (x, foot)."""
    canvas.box((x - tall * 0.03, foot - tall * 0.12, x + tall * 0.03, foot), "#3b2a22")
    for tier in reversed(range(7)):
        top = foot - tall + tier * tall * 0.125
        half, low = tall * (0.07 + tier * 0.036), top + tall * 0.2
        branches: list[Point] = [(x, top)]
        snow: list[Point] = [(x, top - tall * 0.006)]
        for step in range(9):
            across = half * (1 - step / 4)
            dip = tall * (0.02 if step % 2 else -0.012) * float(rng.uniform(0.5, 1.4))
            branches.append((x + across, low + dip - abs(across) * 0.1))
            snow.append((x + across * 0.74, low - tall * 0.085 + dip * 1.2 + abs(across) * 0.26))
        canvas.polygon(branches, needles)
        canvas.polygon(snow, "#f4f8fd")


def snowy_forest() -> Image.Image:
    """Draw a forest of firs in falling snow."""
    canvas = Canvas(900, 675, scale=2)
    canvas.gradient([(0, "#9fb6cf"), (0.55, "#dfe7ef"), (1, "#eef3f8")])
    canvas.glow(660, 190, 300, "#fff6e0c0")
    rng = np.random.default_rng(20)
    for depth, (foot, tall, count) in enumerate(((400, 190, 22), (450, 260, 15), (520, 340, 9))):
        needles = mix("#a9bccb", "#24453d", depth / 2)
        for index in range(count):
            x = (index + float(rng.uniform(0.1, 0.9))) * 900 / count
            _fir(
                canvas,
                x,
                foot + float(rng.uniform(-10, 14)),
                tall * float(rng.uniform(0.75, 1.15)),
                needles,
                rng,
            )
        with canvas.layer(blur=16, opacity=0.7) as mist:
            mist.oval(450, foot + 20, 620, 40, "#eaf0f6")
    canvas.blob(
        [(-60, 500), (160, 478), (420, 512), (680, 484), (960, 506), (960, 760), (-60, 760)], "#f6f9fd"
    )
    canvas.blob(
        [
            (380, 502),
            (440, 506),
            (470, 560),
            (400, 620),
            (360, 700),
            (560, 700),
            (540, 610),
            (560, 556),
            (500, 510),
        ],
        "#d5e0ec",
    )
    for x, tall in ((70, 520), (846, 470)):
        _fir(canvas, x, 660, tall, "#1d3a34", rng)
    with canvas.layer(blur=1.2, opacity=0.9) as flakes:
        for _ in range(340):
            x, y, size = float(rng.uniform(0, 900)), float(rng.uniform(0, 675)), float(rng.uniform(0.8, 3.8))
            flakes.oval(x, y, size, size, "#ffffff")
    return photograph(canvas.finish(), seed=3, grain=3, edges=0.22)


def sailing_boat() -> Image.Image:
    """Draw a boat with white sails on a blue sea."""
    canvas = Canvas(800, 1000, scale=2)
    canvas.gradient([(0, "#3f8fd6"), (1, "#cfe9f7")], (0, 0, 800, 620))
    _sky_clouds(canvas, (255, 255, 255), (800, 560), (300, 130), 61, 0.5)
    _fill_under(canvas, _ridge(800, 596, 30, 4), 622, "#7f9db0")
    canvas.gradient([(0, "#5fa9cf"), (0.3, "#2b7fb0"), (1, "#0e4a76")], (0, 618, 800, 1000))
    waves = clouds(800, 382, (150, 14), 4, 23)
    canvas.paste(veil((255, 255, 255), np.clip(waves - 0.6, 0, 1) * 0.9).resize((1600, 764)), 0, 618)
    canvas.paste(veil((5, 40, 80), np.clip(0.4 - waves, 0, 1) * 0.9).resize((1600, 764)), 0, 618)
    with canvas.layer(blur=7, opacity=0.5) as image:
        image.polygon([(300, 742), (520, 742), (480, 960), (350, 930)], "#dfeaf2")
    with canvas.layer(turn=5, around=(410, 730)) as boat:
        boat.stroke([(420, 716), (420, 236)], "#6b4a2f", 7)
        boat.blob(
            [(412, 250), (404, 470), (408, 690), (330, 694), (250, 680), (330, 500), (386, 340)], "#fbfaf5"
        )
        for y in (420, 520, 610):
            boat.curve([(408, y), (350, y + 6), (352 - (y - 420) * 0.42, y + 2)], "#d8d8d2", 2.5)
        boat.blob([(432, 290), (500, 440), (568, 664), (500, 686), (432, 684), (436, 480)], "#f2efe6")
        boat.polygon([(432, 560), (534, 560), (548, 604), (432, 604)], "#d8402f")
        boat.polygon([(420, 236), (420, 262), (462, 250)], "#d8402f")
        boat.polygon([(236, 706), (600, 700), (560, 760), (286, 764)], "#8a3f2a")
        boat.polygon([(236, 706), (600, 700), (596, 714), (242, 720)], "#f6f0e2")
        boat.oval(352, 690, 13, 15, "#2b2320")
        boat.polygon([(338, 718), (366, 718), (362, 694), (342, 694)], "#f2c14e")
    with canvas.layer(blur=2, opacity=0.9) as foam:
        foam.blob(
            [(262, 764), (340, 757), (470, 762), (596, 755), (640, 766), (560, 771), (420, 772), (300, 774)],
            "#ffffff",
        )
    for x, y, size in ((150, 190, 16), (210, 230, 12), (610, 150, 11)):
        canvas.curve(
            [
                (x - size, y - 5),
                (x - size * 0.4, y - 10),
                (x, y),
                (x + size * 0.4, y - 10),
                (x + size, y - 5),
            ],
            "#35485a",
            2.6,
        )
    return photograph(canvas.finish(), seed=14, grain=4, edges=0.25)


def _balloon(canvas: Canvas, tones: tuple[str, str]) -> None:
    """Draw a hot-air balloon 200 wide around (0, 0)."""

    def envelope(shape: Canvas) -> None:
        shape.blob(
            [
                (0, -120),
                (74, -92),
                (100, -20),
                (72, 52),
                (24, 106),
                (-24, 106),
                (-72, 52),
                (-100, -20),
                (-74, -92),
            ],
            "#ffffff",
        )

    with canvas.layer(within=envelope) as silk:
        silk.box((-110, -130, 110, 130), tones[0])
        for half in (84, 48, 14):
            tone = tones[1] if half != 48 else tones[0]
            silk.blob(
                [
                    (0, -130),
                    (half, -60),
                    (half * 1.12, 0),
                    (half * 0.7, 70),
                    (half * 0.25, 120),
                    (-half * 0.25, 120),
                    (-half * 0.7, 70),
                    (-half * 1.12, 0),
                    (-half, -60),
                ],
                tone,
            )
        silk.gradient([(0, "#ffffff00"), (1, "#20103060")], (0, -130, 110, 130), sideways=True)
    for x in (-20, 20):
        canvas.stroke([(x, 104), (x * 0.7, 138)], "#4a3a2c", 2)
    canvas.box((-18, 136, 18, 164), "#7a5230", radius=4)


def balloons() -> Image.Image:
    """Draw hot-air balloons over hills at sunrise."""
    canvas = Canvas(1000, 720, scale=2)
    canvas.gradient([(0, "#6fa8dc"), (0.5, "#f7d6b5"), (0.8, "#fbe9c6")], (0, 0, 1000, 720))
    _sky_clouds(canvas, (255, 246, 236), (1000, 440), (380, 80), 70, 0.5)
    canvas.glow(180, 470, 320, "#fff1c0d0")
    for middle, rise, seed, tone in (
        (490, 46, 7, "#b9b0bd"),
        (550, 40, 8, "#8fa58f"),
        (610, 34, 9, "#5f8a5a"),
    ):
        _fill_under(canvas, _ridge(1000, middle, rise, seed, 0.4), 720, tone)
        with canvas.layer(blur=18, opacity=0.45) as mist:
            mist.oval(500, middle + 50, 640, 26, "#fff4e2")
    for x, y, zoom, tones in (
        (640, 240, 1.35, ("#d8402f", "#fdf3dc")),
        (300, 200, 0.82, ("#2f7fa8", "#f2c14e")),
        (850, 420, 0.5, ("#6a4c93", "#f7e3ff")),
        (450, 420, 0.42, ("#e08a2c", "#fff0d0")),
        (130, 330, 0.34, ("#3f8a5a", "#fdf3dc")),
    ):
        _balloon(canvas.at(x, y, zoom), tones)
    soft = canvas.finish().filter(ImageFilter.GaussianBlur(0.3))
    return photograph(soft, seed=27, grain=3, edges=0.22)
