"""From scenes to what a network takes: tiles, tokens, labels, and the class of each cell.

Tokens and tiles are made by the product's own processor, so that training sees what use will see.
"""

from __future__ import annotations

import multiprocessing
import random
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.families.smolvlm.processor import END_OF_TURN, SmolVLMProcessor
from training.captions import Turn, ask, ask_apart
from training.lettering import Box
from training.levels import LAST_PAGES, LEVELS
from training.scenes import CELL_PX, TILE_PX, Scene, make_scene
from training.vocabulary import COLOURS, plural

NO_LABEL = -100
AROUND_PICTURE = "<fake_token_around_image>"
MOST_TEXT_TOKENS = 112  # of all questions and answers; those that go beyond are left out, but for the first
LENGTH_STEP = 16  # batches are as long as a multiple of this: processors prepare for each length once
TILED_SHARE = 0.12  # of batches, at levels with tiles
PAGE_SHARE = 0.15  # of batches, at levels with conversations
# In the loss, of an answer's first token and of the others: of a short answer, one word is all that it says.
WEIGHTS = {"colour": (6.0, 1.0), "count": (6.0, 1.0), "presence": (4.0, 1.0), "place": (3.0, 3.0)}
CONVERSATION_SHARE = 0.15  # of pictures with questions; of the others, no question knows of another
FIRST_TALK = next(index for index, level in enumerate(LEVELS) if not level.is_page)
FIRST_HARD = FIRST_TALK + 2  # from here on, pages are as hard as they get
CURRENT_SHARE = 0.25  # of pictures; the others are of any level with conversations
GRIDS = ((2, 1), (1, 2), (2, 2), (2, 2), (3, 2), (2, 3), (3, 3))


@dataclass(frozen=True)
class Batch:
    """Samples of one level range, as tensors.

    ``tiles`` uint8 [samples, most tiles, 3, 192, 192], ``has_tile`` says which are there; ``token_ids`` and
    ``labels`` int64 [samples, tokens]; ``segments`` int64 [samples, tokens]: 0 for what all see, else the
    number of the question, which sees 0 and itself; ``weights`` float32 [samples, tokens]: of labels in the
    loss; ``is_read`` bool [samples, tokens]: labels of text read before anything was said; ``is_current``
    bool [samples]; ``cells``, ``order`` and ``tints`` int64 [tiles that are there, 24, 24]; ``places`` int64
    [samples, tokens]: the cell (row * 24 + column) of the letter or thing that a label stands for, or that
    the token before names in a question; ``hues`` int64 [samples, tokens]: the colour of the thing that a
    token of a question names. Pages have no tokens.
    """

    tiles: torch.Tensor
    has_tile: torch.Tensor
    token_ids: torch.Tensor
    labels: torch.Tensor
    segments: torch.Tensor
    weights: torch.Tensor
    is_read: torch.Tensor
    is_current: torch.Tensor
    cells: torch.Tensor
    order: torch.Tensor
    tints: torch.Tensor
    places: torch.Tensor
    hues: torch.Tensor


@dataclass(frozen=True)
class Sample:
    """One picture with a conversation about it, before batching; lists as long as ``token_ids``."""

    tiles: NDArray[np.uint8]
    token_ids: list[int]
    labels: list[int]
    segments: list[int]
    weights: list[float]
    is_read: list[bool]
    cells: NDArray[np.int64]
    order: NDArray[np.int64]
    tints: NDArray[np.int64]
    places: list[int]
    hues: list[int]


class Batches(IterableDataset[Batch]):
    """Endless batches; a batch is made from its number alone, and the level at the time."""

    def __init__(
        self, folder: Path, *, batch_size: int, first: int, level: Synchronized[int], seed: int
    ) -> None:
        super().__init__()
        self._folder, self._batch_size, self._first, self._seed = folder, batch_size, first, seed
        self._level = level

    def __iter__(self) -> Iterator[Batch]:
        processor = SmolVLMProcessor.load(self._folder)
        worker = get_worker_info()
        number, step = (self._first, 1) if worker is None else (self._first + worker.id, worker.num_workers)
        if worker is not None:  # the parent says when to stop
            torch.set_num_threads(1)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            yield self._make(processor, number)
            number += step

    def _make(self, processor: SmolVLMProcessor, number: int) -> Batch:
        rng = random.Random(f"{self._seed} {number}")
        current = self._level.value
        pages = LEVELS[min(current, FIRST_TALK - 1)] if current < FIRST_HARD else LAST_PAGES
        if LEVELS[current].is_page or rng.random() < PAGE_SHARE:
            return _collate_pages([make_scene(rng.getrandbits(48), pages) for _ in range(self._batch_size)])
        grid, count = (1, 1), self._batch_size
        if LEVELS[current].grid != (1, 1) and rng.random() < TILED_SHARE:
            grid = rng.choice(GRIDS)
            count = max(4, self._batch_size // (grid[0] * grid[1] + 1))
        levels = [
            current if rng.random() < CURRENT_SHARE else rng.randint(FIRST_TALK, current)
            for _ in range(count)
        ]
        if grid != (1, 1):
            levels = [max(FIRST_TALK + 2, level) for level in levels]
        samples = [
            make_sample(processor, make_scene(rng.getrandbits(48), LEVELS[level], grid=grid), rng)
            for level in levels
        ]
        return _collate(samples, [level == current for level in levels], processor)


def loader(
    folder: Path, *, batch_size: int, first: int, level: int, seed: int, workers: int
) -> tuple[Iterator[Batch], Synchronized[int]]:
    """Return batches made by other processes, and the level they look at."""
    shared = multiprocessing.Value("i", level)
    batches = Batches(folder, batch_size=batch_size, first=first, level=shared, seed=seed)
    made = DataLoader(batches, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    return iter(made), shared


def conversation(scene: Scene, turns: Sequence[Turn]) -> list[Message]:
    """Return the messages of a conversation whose first question shows the picture."""
    messages = []
    for index, turn in enumerate(turns):
        asked = TextPart(turn.question)
        messages.append(Message("user", (PicturePart(scene.image), asked) if index == 0 else (asked,)))
        messages.append(Message("assistant", (TextPart(turn.answer),)))
    return messages


def make_sample(processor: SmolVLMProcessor, scene: Scene, rng: random.Random) -> Sample:
    """Return a picture and questions about it with their answers.

    Mostly each is asked as if it were the only one, in one sequence all the same: had an answer to come after
    another, it could be copied from there. The others are conversations of up to three turns.
    """
    is_apart = rng.random() >= CONVERSATION_SHARE
    turns = ask_apart(scene, rng, 3 if len(scene.things) < 2 else 7) if is_apart else ask(scene, rng, 3)
    prepared = processor.prepare(conversation(scene, turns)[:1], detail=Detail.AUTO)
    opening = list(prepared.token_ids)
    after_picture = processor.tokenizer.token_to_id(AROUND_PICTURE)
    shared = max(index for index, token in enumerate(opening) if token == after_picture) + 1
    token_ids, labels = opening, [NO_LABEL] * len(opening)
    places, hues = [NO_LABEL] * len(opening), [NO_LABEL] * len(opening)
    segments = [*[0] * shared, *[int(is_apart)] * (len(opening) - shared)]
    weights, is_read = [1.0] * len(opening), [False] * len(opening)
    is_one_tile = len(prepared.tiles) == 1
    room = MOST_TEXT_TOKENS
    for index, turn in enumerate(turns):
        before = "" if is_apart or not index else "\nUser: "
        asked = f"{before}{turn.question}{END_OF_TURN}\nAssistant:"
        said = f" {turn.answer}{END_OF_TURN}"
        encoded_question = processor.tokenizer.encode(asked, add_special_tokens=False)
        asked_ids = encoded_question.ids if index else []  # the opening holds the first
        encoded = processor.tokenizer.encode(said, add_special_tokens=False)
        said_ids = encoded.ids
        if index and room < len(asked_ids) + len(said_ids):
            continue
        room -= len(asked_ids) + len(said_ids)
        token_ids += [*asked_ids, *said_ids]
        segments += [(index + 1) * is_apart] * (len(asked_ids) + len(said_ids))
        labels += [*[NO_LABEL] * len(asked_ids), *said_ids]
        first, others = WEIGHTS.get(turn.skill, (1.0, 1.0))
        weights += [*[1.0] * len(asked_ids), first, *[others] * (len(said_ids) - 1)]
        cells = _places(scene, turn, said) if is_one_tile else {}
        places += [NO_LABEL] * len(asked_ids)
        # A token of a word begins at the space before it.
        places += [cells.get(begin, cells.get(end - 1, NO_LABEL)) for begin, end in encoded.offsets]
        hues += [NO_LABEL] * (len(asked_ids) + len(said_ids))
        if (named := _named(scene, turn)) is not None:
            end = asked.index(turn.question) + named.end
            ends = [end for _, end in encoded_question.offsets]
            at = len(token_ids) - len(said_ids) - len(ends) + ends.index(end)
            hues[at] = named.hue
            places[at + 1] = named.cell if is_one_tile else NO_LABEL
        reads = (is_apart or index == 0) and turn.skill == "read" and bool(scene.lines)
        is_read += [*[False] * len(asked_ids), *[reads] * len(said_ids)]
    tiles = np.stack([np.asarray(tile.pixels_HWC) for tile in prepared.tiles])
    num_tiles = len(prepared.tiles)
    return Sample(
        tiles,
        token_ids,
        labels,
        segments,
        weights,
        is_read,
        _cut(scene.cells, num_tiles),
        _cut(scene.order, num_tiles),
        _cut(scene.tints, num_tiles),
        places,
        hues,
    )


class Named(NamedTuple):
    """The end of a thing's name in a question, its cell and its colour, or ``NO_LABEL``."""

    end: int
    cell: int
    hue: int


def _named(scene: Scene, turn: Turn) -> Named | None:
    """Return what a question names, if it is in the picture."""
    for name in dict.fromkeys(thing.name for thing in scene.things):
        if found := re.search(rf"\b({plural(name)}|{name})\b", turn.question):
            meant = [thing for thing in scene.things if thing.name == name]
            cell = _cell(*_middle(meant[0].box)) if len(meant) == 1 else NO_LABEL
            colours = {thing.colour for thing in meant}
            (colour,) = colours if len(colours) == 1 else (None,)
            return Named(found.end(), cell, NO_LABEL if colour is None else list(COLOURS).index(colour))
    return None


def _middle(box: Box) -> tuple[float, float]:
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2


def _cell(x: float, y: float) -> int:
    side = TILE_PX // CELL_PX
    row, column = (min(side - 1, max(0, int(value // CELL_PX))) for value in (y, x))
    return row * side + column


def _places(scene: Scene, turn: Turn, said: str) -> dict[int, int]:
    """Return the cell of each character of an answer that stands for something in the picture.

    A colour, and the side it is on, stand for the thing that has it.
    """
    cells: dict[int, int] = {}
    for line in scene.lines:
        quoted = said.find(f'"{line.text}"')
        if (begin := said.find(line.text) if quoted < 0 else quoted + 1) >= 0:
            for index, (x, y) in enumerate(line.centres):
                cells[begin + index] = _cell(x, y)
    letters = set(cells)
    for thing in reversed(scene.things):
        cell = _cell(*_middle(thing.box))
        name = rf"\b({thing.name}|{plural(thing.name)})\b"
        for found in re.finditer(rf"(\b{thing.colour} )?{name}", said):
            if found.start(2) in letters:
                continue
            cells[found.end() - 1] = cell
            if found[1]:
                cells[found.end(1) - 2] = cell
        is_asked = turn.skill in ("colour", "place") and re.search(name, turn.question)
        if is_asked and (answer := re.search(r"\w+(?=\.)", said)):
            cells[answer.end() - 1] = cell
    return cells


def _cut(values: NDArray[np.uint8], num_tiles: int) -> NDArray[np.int64]:
    """Cut the cells as the picture is cut; those of the whole, made smaller, have no label."""
    side = TILE_PX // CELL_PX
    rows, columns = values.shape[0] // side, values.shape[1] // side
    cut = values.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side).astype(np.int64)
    return cut if num_tiles == 1 else np.concatenate([cut, np.full((1, side, side), NO_LABEL)])


def _collate_pages(scenes: Sequence[Scene]) -> Batch:
    tiles = np.stack([np.asarray(scene.image).transpose(2, 0, 1)[None] for scene in scenes])
    num, nothing = len(scenes), torch.zeros((len(scenes), 0), dtype=torch.int64)
    return Batch(
        torch.from_numpy(tiles),
        torch.ones((num, 1), dtype=torch.bool),
        nothing,
        nothing,
        nothing,
        nothing.float(),
        nothing.bool(),
        torch.ones(num, dtype=torch.bool),
        torch.from_numpy(np.stack([scene.cells for scene in scenes]).astype(np.int64)),
        torch.from_numpy(np.stack([scene.order for scene in scenes]).astype(np.int64)),
        torch.from_numpy(np.stack([scene.tints for scene in scenes]).astype(np.int64)),
        nothing,
        nothing,
    )


def _collate(samples: Sequence[Sample], is_current: Sequence[bool], processor: SmolVLMProcessor) -> Batch:
    most, longest = max(len(one.tiles) for one in samples), max(len(one.token_ids) for one in samples)
    longest = -(-longest // LENGTH_STEP) * LENGTH_STEP
    padding = processor.tokenizer.token_to_id("<|im_end|>")
    tiles = np.zeros((len(samples), most, TILE_PX, TILE_PX, 3), np.uint8)
    has_tile = np.zeros((len(samples), most), bool)
    token_ids = np.full((len(samples), longest), padding, np.int64)
    labels = np.full((len(samples), longest), NO_LABEL, np.int64)
    places = np.full((len(samples), longest), NO_LABEL, np.int64)
    hues = np.full((len(samples), longest), NO_LABEL, np.int64)
    segments = np.zeros((len(samples), longest), np.int64)
    weights = np.ones((len(samples), longest), np.float32)
    is_read = np.zeros((len(samples), longest), bool)
    for row, one in enumerate(samples):
        tiles[row, : len(one.tiles)], has_tile[row, : len(one.tiles)] = one.tiles, True
        token_ids[row, : len(one.token_ids)] = one.token_ids
        labels[row, : len(one.labels)] = one.labels
        segments[row, : len(one.segments)] = one.segments
        weights[row, : len(one.weights)] = one.weights
        is_read[row, : len(one.is_read)] = one.is_read
        places[row, : len(one.places)] = one.places
        hues[row, : len(one.hues)] = one.hues
    return Batch(
        torch.from_numpy(tiles).permute(0, 1, 4, 2, 3).contiguous(),
        torch.from_numpy(has_tile),
        torch.from_numpy(token_ids),
        torch.from_numpy(labels),
        torch.from_numpy(segments),
        torch.from_numpy(weights),
        torch.from_numpy(is_read),
        torch.tensor(list(is_current)),
        torch.from_numpy(np.concatenate([one.cells for one in samples])),
        torch.from_numpy(np.concatenate([one.order for one in samples])),
        torch.from_numpy(np.concatenate([one.tints for one in samples])),
        torch.from_numpy(places),
        torch.from_numpy(hues),
    )
