"""Pictures made up for training: the same from the same seed, true to what they say they hold."""

from __future__ import annotations

import functools
import random
from dataclasses import replace

import numpy as np
import pytest
from training.assets import CAPITALS_ONLY, FOLDER, LACKING, TEXT_FONTS, font
from training.batches import FIRST_TALK
from training.captions import DESCRIBE, NO_TEXT, ask, describe, read
from training.lettering import make_text
from training.levels import LEVELS
from training.scenes import CELL_PX, CLASSES, TILE_PX, make_scene
from training.vocabulary import CHARACTERS, COLOURS, COMMON_WORDS, THINGS, is_for, plural

SEEDS = range(12)
scene_of = functools.cache(make_scene)  # several tests look at the same ones
COLOUR_NAMES = list(COLOURS)
needs_fonts = pytest.mark.skipif(
    not (FOLDER / "usr").is_dir(),
    reason="python -m training.assets has not fetched the fonts (needs apt-get)",
)


@needs_fonts
@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_a_seed_gives_the_same_picture_and_a_split_another(level):
    for seed in SEEDS:
        once, again = (make(seed, LEVELS[level]) for make in (scene_of, make_scene))
        assert once.image.tobytes() == again.image.tobytes()
        assert (once.things, once.lines) == (again.things, again.lines)
        np.testing.assert_array_equal(once.cells, again.cells)
    tests, trains = (
        [scene_of(seed, LEVELS[level], *split).image.tobytes() for seed in SEEDS] for split in (("test",), ())
    )
    assert not set(tests) & set(trains)


@needs_fonts
@pytest.mark.parametrize("grid", [(1, 1), (3, 2)])
def test_cells_cover_the_picture_and_name_what_is_in_it(grid):
    for seed in range(60):
        scene = make_scene(seed, LEVELS[-1], grid=grid)
        assert scene.image.size == (grid[0] * TILE_PX, grid[1] * TILE_PX)
        assert scene.cells.shape == (grid[1] * TILE_PX // CELL_PX, grid[0] * TILE_PX // CELL_PX)
        present = set(scene.cells.ravel().tolist()) - {0}
        letters = {
            1 + CHARACTERS.index(one) for line in scene.lines for one in line.text if one in CHARACTERS
        }
        names = {1 + len(CHARACTERS) + THINGS.index(thing.name) for thing in scene.things}
        assert present <= letters | names
        assert names <= present
        assert max(present, default=0) < CLASSES


@needs_fonts
def test_tints_are_the_colours_of_what_lies_there():
    num_things = 0
    for seed in range(200):
        scene = scene_of(seed, LEVELS[-2])
        background = 0 if scene.kind in ("gradient", "stripes") else 1 + COLOUR_NAMES.index(scene.colours[0])
        colours = {1 + COLOUR_NAMES.index(thing.colour) for thing in scene.things if thing.colour}
        assert set(scene.tints.ravel().tolist()) <= {0, background} | colours
        assert scene.tints.shape == scene.cells.shape
        for thing in scene.things:
            x, y = (thing.box[0] + thing.box[2]) / 2, (thing.box[1] + thing.box[3]) / 2
            shown = int(scene.tints[int(y // CELL_PX), int(x // CELL_PX)])
            num_things += thing.colour is not None
            assert shown == (0 if thing.colour is None else 1 + COLOUR_NAMES.index(thing.colour))
    assert num_things > 60


@needs_fonts
def test_pictures_are_of_the_sorts_their_level_asks_for():
    level = replace(LEVELS[FIRST_TALK + 1], places=("top", "bottom", "middle"))
    for shares, num_lines, num_things in (
        ((1, 0, 0, 0), (0, 20), (0, 1)),
        ((0, 1, 0, 0), (0, 1), (0, 2)),
        ((0, 0, 1, 0), (0, 2), (0, 2)),
        ((0, 0, 0, 1), (0, 1), (0, level.max_things)),
    ):
        made = [make_scene(seed, replace(level, shares=shares)) for seed in range(40)]
        for scene in made:
            assert num_lines[0] <= len(scene.lines) <= num_lines[1]
            assert num_things[0] <= len(scene.things) <= num_things[1]
        assert sum(len(scene.lines) for scene in made) > (5 if shares[3] else 36)


@needs_fonts
@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_the_order_of_letters_lies_on_the_letters(level):
    num_right = num_letters = 0
    for seed in range(30):
        scene = scene_of(seed, LEVELS[level])
        for line in scene.lines:
            assert len(line.centres) == len(line.text)
            for number, (letter, (x, y)) in enumerate(zip(line.text, line.centres, strict=True), 1):
                row, column = int(y // CELL_PX), int(x // CELL_PX)
                if letter in CHARACTERS and 0 <= row < len(scene.cells) and 0 <= column < len(scene.cells):
                    num_letters += 1
                    is_letter = scene.cells[row, column] == 1 + CHARACTERS.index(letter)
                    num_right += is_letter and scene.order[row, column] == number
    assert num_letters > 100
    assert num_right > 0.8 * num_letters  # narrow letters share cells with their neighbours


@needs_fonts
def test_turning_a_picture_turns_its_lines():
    level = replace(LEVELS[-1], max_angle=8, spoiling=0, looks=("plain",), backgrounds=("plain",))
    for seed in range(60):
        straight, turned = (make_scene(seed, one) for one in (replace(level, max_angle=0), level))
        if straight.image.tobytes() == turned.image.tobytes():
            continue
        ink = np.abs(np.asarray(turned.image, int) - np.asarray(turned.image.getpixel((0, 0)))).sum(-1) > 60
        for line in turned.lines:
            num_inked = 0
            for letter, (x, y) in zip(line.text, line.centres, strict=True):
                around = ink[max(0, int(y) - 8) : int(y) + 9, max(0, int(x) - 5) : int(x) + 6]
                num_inked += letter == " " or bool(around.any())
            assert num_inked >= 0.9 * len(line.text)


@needs_fonts
def test_things_and_text_do_not_overlap_and_lie_inside():
    for seed in range(80):
        scene = scene_of(seed, LEVELS[-2])
        boxes = [thing.box for thing in scene.things] + [line.box for line in scene.lines]
        for index, (left, top, right, bottom) in enumerate(boxes):
            assert left >= -1
            assert right <= TILE_PX + 1
            for other in boxes[index + 1 :]:
                assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom


@needs_fonts
def test_what_is_kept_for_the_test_never_comes_up_in_training():
    for seed in range(150):
        for split, scene in (
            ("train", scene_of(seed, LEVELS[-2])),
            ("test", make_scene(seed, LEVELS[-2], "test")),
        ):
            for thing in scene.things:
                assert thing.colour is None or is_for(split, thing.name, thing.colour)
            assert len(scene.colours) == 1 or is_for(split, *scene.colours)
    common = {word.lower() for word in COMMON_WORDS} | {"ok"}
    rng, numbers = random.Random(1), 0
    for _ in range(400):
        for word in make_text(rng, 14, "train", "Lato-Bold.ttf").lower().strip("!?.,:").split():
            is_word = word.isalpha() and word not in common and len(word) > 2
            numbers += is_word and is_for("train", word)
    assert numbers > 100


@needs_fonts
@pytest.mark.parametrize("name", [*TEXT_FONTS["train"], *TEXT_FONTS["test"]])
def test_a_font_of_capitals_is_known_and_writes_capitals(name):
    def shape(letter):
        mask = font(name, 40).getmask(letter)
        return mask.size, bytes(mask)

    assert shape("a") != shape("A") or name in CAPITALS_ONLY
    boxes = [letter for letter in CHARACTERS if shape(letter) == shape("\uffff")]
    assert "".join(boxes) == "".join(sorted(LACKING.get(name, ""), key=CHARACTERS.index))
    texts = [make_text(random.Random(seed), 8, "train", name) for seed in range(40)]
    assert all(text == text.upper() for text in texts) == (name in CAPITALS_ONLY)


@needs_fonts
def test_captions_say_what_the_scene_holds():
    for seed in range(80):
        scene = scene_of(seed, LEVELS[-1])
        for question in DESCRIBE:
            caption = describe(scene, question)
            assert caption.endswith((".", '."'))
            assert all(f'"{line.text}"' in caption for line in scene.lines)
            for thing in scene.things:
                assert thing.name in caption or plural(thing.name) in caption
            assert any(colour in caption for colour in COLOURS)
        text = read(scene)
        assert text == NO_TEXT if not scene.lines else text.count("\n") == len(scene.lines) - 1


@needs_fonts
def test_conversations_begin_with_reading_or_describing_most_of_the_time_and_answer_truly():
    skills = []
    for seed in range(200):
        scene = scene_of(seed, LEVELS[-3])
        turns = ask(scene, random.Random(seed), 3)
        skills.append(turns[0].skill)
        for turn in turns:
            if turn.skill == "count":
                name = turn.question.removeprefix("How many ").removesuffix(" are there?")
                count = sum(plural(thing.name) == name for thing in scene.things)
                assert turn.answer == f"{('No', 'One', 'Two', 'Three', 'Four')[count]}."
    assert skills.count("read") + skills.count("describe") > 120
