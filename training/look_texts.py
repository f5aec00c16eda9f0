"""The words by which Smallsight-tiny-looks finds drawings: what they may say, and what they are true of."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.captions import NUMBERS
from training.scenes import Scene
from training.vocabulary import COLOURS, THINGS, plural

OTHER_NAMES: Mapping[str, str] = {
    "kitten": "cat",
    "kitty": "cat",
    "puppy": "dog",
    "pony": "horse",
    "bunny": "rabbit",
    "piglet": "pig",
    "honeybee": "bee",
    "hamburger": "burger",
    "cheeseburger": "burger",
    "mug": "cup",
    "coffee": "cup",
    "tea": "cup",
    "flame": "fire",
    "flames": "fire",
    "automobile": "car",
    "bike": "bicycle",
    "locomotive": "train",
    "airplane": "plane",
    "aeroplane": "plane",
    "spaceship": "rocket",
    "sailboat": "boat",
    "ship": "boat",
    "lorry": "truck",
    "home": "house",
    "watch": "clock",
    "telephone": "phone",
    "laptop": "computer",
    "football": "ball",
    "present": "gift",
    "lightbulb": "bulb",
    "blossom": "flower",
    "whales": "whale",
    "toadstool": "mushroom",
    "disc": "circle",
    "rhombus": "diamond",
    "mice": "mouse",
}
KINDS: Mapping[str, tuple[str, ...]] = {
    "animal": tuple(
        "cat dog horse cow pig rabbit mouse elephant bird owl fish whale octopus turtle snake frog bear "
        "monkey bee butterfly snail spider penguin".split()
    ),
    "insect": ("bee", "butterfly"),
    "pet": ("cat", "dog", "rabbit"),
    "fruit": ("apple", "banana", "strawberry"),
    "food": tuple("apple banana strawberry pizza burger cake carrot mushroom".split()),
    "drink": ("cup", "beer"),
    "plant": ("tree", "flower", "cactus"),
    "vehicle": tuple("car bus train bicycle plane rocket boat truck".split()),
    "shape": ("circle", "square", "triangle", "star", "cross", "ring", "heart", "diamond"),
}
OTHER_COLOURS: Mapping[str, str] = {
    "gray": "grey",
    "violet": "purple",
    "turquoise": "cyan",
    "teal": "cyan",
    "golden": "yellow",
}
BACKGROUNDS: Mapping[str, str] = {
    "striped": "stripes",
    "rough": "texture",
    "grainy": "noise",
    "spotted": "crowd",
}
BEGINNINGS = (
    "",
    "",
    "",
    "",
    "a drawing of ",
    "drawing of ",
    "a picture of ",
    "picture of ",
    "cartoon ",
    "there is ",
    "an image with ",
)
FILLERS = "a an the of on with and in some is are there i see it one its picture image drawing drawn".split()
FILLERS += "cartoon clipart sticker emoji icon several many things thing background shows small big".split()
COUNTS = NUMBERS[1:6]
STRANGE = "qqq"  # stands for every word that has no token
ANY = -1


def words_known() -> list[str]:
    """Return every word that has a token, in the order of their ids, after the control tokens."""
    names = [word for name in THINGS for word in (name, plural(name))]
    kinds = [word for name in KINDS for word in (name, plural(name))]
    others = [word for name in OTHER_NAMES for word in (name, f"{name}s")]
    rest = (*COLOURS, *OTHER_COLOURS, *BACKGROUNDS, *COUNTS, *FILLERS)
    return list(dict.fromkeys([*names, *kinds, *others, *rest]))


@dataclass(frozen=True)
class Shown:
    """What a drawing shows: (name, colour or None) of each thing, colours and kinds of its background."""

    things: tuple[tuple[str, str | None], ...]
    background: tuple[str, ...]
    kinds: tuple[str, ...]

    def as_data(self) -> list[Any]:
        """Return it for JSON."""
        return [self.things, self.background, self.kinds]

    @classmethod
    def of_data(cls, data: Sequence[Any]) -> Shown:
        """Return what ``as_data`` has written."""
        things, background, kinds = data
        return cls(tuple((name, colour) for name, colour in things), tuple(background), tuple(kinds))


def shown_in(scene: Scene) -> Shown:
    """Return what a scene shows."""
    things = tuple((thing.name, thing.colour) for thing in scene.things)
    return Shown(things, tuple(scene.colours), (scene.kind,))


@dataclass(frozen=True)
class Part:
    """One thing that a text asks for: any of these names, in a colour, and how many of them."""

    names: tuple[int, ...]
    colour: int = ANY
    count: int = ANY


@dataclass(frozen=True)
class Text:
    """A text and what it asks for; one with unknown words is true of nothing, as far as anybody can tell."""

    words: str
    parts: tuple[Part, ...] = ()
    behind: int = ANY
    kind: str = ""
    has_unknown: bool = False


class Facts:
    """What many drawings show, as tables: which texts are true of which."""

    def __init__(self, shown: Iterable[Shown]) -> None:
        drawn = list(shown)
        colours = list(COLOURS)
        self.counts_NT = np.zeros((len(drawn), len(THINGS)), np.uint8)
        self.tinted_NTC = np.zeros(
            (len(drawn), len(THINGS), len(colours) + 1), bool
        )  # the last: no one colour
        self.behind_NC = np.zeros((len(drawn), len(colours)), bool)
        self.kinds = np.array([one.kinds[0] if one.kinds else "" for one in drawn])
        for row, one in enumerate(drawn):
            for name, colour in one.things:
                thing = THINGS.index(name)
                self.counts_NT[row, thing] += 1
                self.tinted_NTC[row, thing, len(colours) if colour is None else colours.index(colour)] = True
            for colour in one.background:
                self.behind_NC[row, colours.index(colour)] = True

    def truth(
        self, texts: Sequence[Text], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return whether each text is true of each drawing, and whether that is known: bool [rows, texts]."""
        true = np.ones((len(rows), len(texts)), bool)
        known = np.ones((len(rows), len(texts)), bool)
        for column, text in enumerate(texts):
            for part in text.parts:
                is_so, is_sure = self._part(part, rows)
                true[:, column] &= is_so
                known[:, column] &= is_sure
            if text.behind != ANY:
                true[:, column] &= self.behind_NC[rows, text.behind]
            if text.kind:
                true[:, column] &= self.kinds[rows] == text.kind
            if text.has_unknown:
                known[:, column] = ~true[:, column]
                true[:, column] = False
                if not text.parts and text.behind == ANY and not text.kind:
                    known[:, column] = True
        return true, known

    def _part(self, part: Part, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        names = list(part.names)
        counts = self.counts_NT[rows][:, names]
        is_so: NDArray[np.bool_] = np.asarray(counts.any(1))
        is_sure: NDArray[np.bool_] = np.ones(len(rows), bool)
        if part.colour != ANY:
            tinted = self.tinted_NTC[rows][:, names]
            has: NDArray[np.bool_] = np.asarray(tinted[:, :, part.colour].any(1))
            # An emoji in its own colours may be red.
            is_sure = np.logical_or(has, np.logical_not(tinted[:, :, -1].any(1)))
            is_so = np.logical_and(is_so, has)
        if part.count != ANY:
            total = counts.sum(1)
            is_so = np.logical_and(is_so, total == part.count)
        return is_so, is_sure


class Writer:
    """Makes up texts: of what a drawing shows, or of anything."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._colours = list(COLOURS)
        self._other_colours: dict[str, list[str]] = {}
        for word, colour in OTHER_COLOURS.items():
            self._other_colours.setdefault(colour, []).append(word)
        self._other_names: dict[str, list[str]] = {}
        for word, name in OTHER_NAMES.items():
            self._other_names.setdefault(name, []).append(word)

    def about(self, shown: Shown) -> Text:
        """Return a text that is true of a drawing, as far as it says."""
        rng = self._rng
        if not shown.things:
            return self.any_text() if not shown.background else self._behind(shown)
        things = rng.sample(shown.things, min(len(shown.things), rng.choice((1, 1, 1, 1, 2, 2, 3))))
        things = list(dict.fromkeys(things))
        parts, said = [], []
        for name, colour in things:
            count = sum(1 for other, _ in shown.things if other == name)
            part, words = self._thing(name, colour, count if len(things) == 1 else 1)
            parts.append(part)
            said.append(words)
        text = rng.choice(BEGINNINGS) + rng.choice((" and ", " and ", " with ", " ")).join(said)
        behind = ANY
        if rng.random() < 0.2 and shown.background:
            colour = rng.choice(shown.background)
            behind = self._colours.index(colour)
            text += f" on {rng.choice(('a ', ''))}{self._colour_word(colour)} background"
        return Text(text, tuple(parts), behind)

    def any_text(self) -> Text:
        """Return a text that may be true of no drawing: known names, or words that are not known."""
        rng = self._rng
        chance = rng.random()
        if chance < 0.45:
            name = rng.choice(THINGS)
            part, words = self._thing(name, rng.choice(self._colours), 1)
            return Text(rng.choice(BEGINNINGS) + words, (part,))
        if chance < 0.6:
            kind = rng.choice(list(KINDS))
            word = rng.choice((kind, f"a {kind}", plural(kind), f"some {plural(kind)}"))
            return Text(rng.choice(BEGINNINGS) + word, (Part(tuple(map(THINGS.index, KINDS[kind]))),))
        unknown = [STRANGE] * rng.randint(1, 4)
        if chance < 0.8:
            fillers = [rng.choice(FILLERS) for _ in range(rng.randint(0, 2))]
            mixed = unknown + fillers
            rng.shuffle(mixed)
            return Text(" ".join(mixed), has_unknown=True)
        if chance < 0.85:
            return Text(" ".join(rng.choice(FILLERS) for _ in range(rng.randint(1, 3))), has_unknown=True)
        name = rng.choice(THINGS)
        part, words = self._thing(name, rng.choice(self._colours), 1)
        mixed = [*rng.choice(([], ["a"])), *unknown]
        text = " ".join([words, *mixed] if rng.random() < 0.6 else [*mixed, words])
        return Text(text, (part,), has_unknown=True)

    def _behind(self, shown: Shown) -> Text:
        colour = self._rng.choice(shown.background)
        word = self._colour_word(colour)
        for adjective, kind in BACKGROUNDS.items():
            if kind == shown.kinds[0] and self._rng.random() < 0.4:
                return Text(f"{adjective} {word} background", (), self._colours.index(colour), kind)
        text = self._rng.choice((f"{word} background", f"a {word} background", f"{word}"))
        if text == word:
            return Text(f"{word} background", (), self._colours.index(colour))
        return Text(text, (), self._colours.index(colour))

    def _colour_word(self, colour: str) -> str:
        others = self._other_colours.get(colour, [])
        return self._rng.choice(others) if others and self._rng.random() < 0.25 else colour

    def _thing(self, name: str, colour: str | None, count: int) -> tuple[Part, str]:
        rng = self._rng
        index = THINGS.index(name)
        others = self._other_names.get(name, [])
        word, words = name, plural(name)
        if others and rng.random() < 0.35:
            word = rng.choice(others)
            words = word if word.endswith(("s", "mice")) else f"{word}s"
        tint = ANY
        prefix = ""
        if colour is not None and rng.random() < 0.35:
            tint = self._colours.index(colour)
            prefix = f"{self._colour_word(colour)} "
        if 2 <= count < len(COUNTS) + 1 and rng.random() < 0.3:
            return Part((index,), tint, count), f"{COUNTS[count - 1]} {prefix}{words}"
        form = rng.random()
        if form < 0.5:
            return Part((index,), tint), prefix + word
        if form < 0.75:
            said = prefix + word
            return Part((index,), tint), f"{'an' if said[0] in 'aeiou' else 'a'} {said}"
        return Part((index,), tint), prefix + words
