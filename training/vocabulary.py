"""What Smallsight-tiny knows by name: things, colours, letters; and which of it is kept for the test."""

from __future__ import annotations

import string
import zlib
from collections.abc import Mapping
from typing import Literal

Split = Literal["train", "test"]

# Name, then the code points that show it.
_PICTOGRAMS = """
cat 1F408 1F431|dog 1F415 1F436|horse 1F40E 1F434|cow 1F404 1F42E|pig 1F416 1F437|rabbit 1F407 1F430
mouse 1F401 1F42D|elephant 1F418|bird 1F426|owl 1F989|fish 1F41F 1F420|whale 1F40B 1F433|octopus 1F419
turtle 1F422|snake 1F40D|frog 1F438|bear 1F43B|monkey 1F412 1F435|bee 1F41D|butterfly 1F98B|snail 1F40C
spider 1F577|penguin 1F427|apple 1F34E|banana 1F34C|strawberry 1F353|pizza 1F355|burger 1F354
cake 1F370 1F382|cup 2615|beer 1F37A|carrot 1F955|mushroom 1F344|tree 1F333 1F332|flower 1F33B 1F337
cactus 1F335|sun 2600 1F31E|moon 1F319|cloud 2601|snowman 26C4 2603|umbrella 2602 2614|fire 1F525
car 1F697 1F698|bus 1F68C|train 1F682 1F686|bicycle 1F6B2|plane 2708|rocket 1F680|boat 26F5|truck 1F69A
house 1F3E0|clock 23F0 1F552|phone 260E 1F4F1|camera 1F4F7|book 1F4D6 1F4D5|key 1F511|bell 1F514
guitar 1F3B8|ball 26BD|crown 1F451|hat 1F3A9|shoe 1F45E|balloon 1F388|gift 1F381|bulb 1F4A1
computer 1F4BB|skull 1F480|ghost 1F47B|robot 1F916|hand 270B|eye 1F441
"""
PICTOGRAMS: Mapping[str, tuple[str, ...]] = {
    name: tuple(chr(int(code, 16)) for code in codes)
    for name, *codes in (entry.split() for entry in _PICTOGRAMS.replace("\n", "|").split("|") if entry)
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "heart", "diamond")
THINGS = (*PICTOGRAMS, *SHAPES)
IRREGULAR_PLURALS = {
    "mouse": "mice",
    "fish": "fish",
    "octopus": "octopuses",
    "butterfly": "butterflies",
    "strawberry": "strawberries",
    "cactus": "cactuses",
    "bus": "buses",
    "cross": "crosses",
    "snowman": "snowmen",
}
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (215, 40, 40),
    "green": (40, 165, 60),
    "blue": (40, 80, 220),
    "yellow": (245, 215, 40),
    "orange": (245, 140, 25),
    "purple": (140, 60, 185),
    "pink": (250, 140, 185),
    "brown": (120, 72, 38),
    "black": (22, 22, 22),
    "white": (246, 246, 246),
    "grey": (130, 130, 130),
    "cyan": (60, 205, 215),
}
# Too alike to tell apart when one lies on the other.
ALIKE = [{"white", "yellow"}, {"black", "brown"}, {"red", "orange"}, {"orange", "yellow"}, {"red", "brown"}]
ALIKE += [{"blue", "purple"}, {"cyan", "white"}, {"pink", "white"}, {"black", "blue"}, {"black", "purple"}]
CHARACTERS = string.ascii_letters + string.digits + "!?.,:'&%-#@$+"
COMMON_WORDS = (
    "the when you me my is it to and a of in for that this not are on with no yes but so what why how who "
    "all just one do be was have has get got go going like love hate want need know think say said see "
    "look make time day night today now never always every still back out up down over after before more "
    "most some any work home school monday friday weekend coffee food dog cat phone internet people "
    "friend friends mom dad boss meeting email sleep money life world good bad best worst new old big "
    "little first last free real please thanks sorry hello ok wait stop help me too can cannot will would "
    "should could im dont cant its "
).split()


def plural(name: str) -> str:
    """Return the word for several."""
    return IRREGULAR_PLURALS.get(name, f"{name}s")


def is_for(split: Split, *words: str) -> bool:
    """Whether this word, or combination, belongs to a split: one in eight is kept for the test."""
    is_kept = zlib.crc32(" ".join(words).encode()) % 8 == 0
    return is_kept == (split == "test")
