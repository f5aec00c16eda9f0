"""What can be said and asked about a scene."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training.lettering import Line
from training.scenes import Scene
from training.vocabulary import COLOURS, THINGS, plural

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
DESCRIBE = (
    "Can you describe this image?",
    "Describe this image.",
    "What is in this picture?",
    "Describe the picture in one sentence.",
)
READ = ("What does the text say?", "Read the text.", "What is written here?", "What does it say?")
BACKGROUND = ("What colour is the background?", "What color is the background?")
NO_TEXT = "There is no text."
_URGENCY = {"colour": 0, "place": 1, "count": 1}  # what one thing among several is asked for


@dataclass(frozen=True)
class Turn:
    """A question and its answer; ``skill`` is what it exercises."""

    question: str
    answer: str
    skill: Literal["describe", "read", "count", "colour", "place", "presence", "things"]


def describe(scene: Scene, question: str = DESCRIBE[0]) -> str:
    """Return a caption: the things, the background, the text. Each question has its own way of saying it."""
    things, behind = name_things(scene), name_background(scene)
    if scene.kind == "chat":
        return f"A chat on a {scene.colours[0]} background. The messages say {_quoted(scene.lines)}."
    if not things:
        said = f"{behind}."
    else:
        is_plural = " and " in things or not things.startswith(("a ", "an "))
        said = (
            f"There {'are' if is_plural else 'is'} {things} on {behind}.",
            f"{behind} with {things}.",
            f"{things}, on {behind}.",
            f"I see {things} on {behind}.",
        )[DESCRIBE.index(question)]
    return said[0].upper() + said[1:] + _text_sentence(scene)


def _text_sentence(scene: Scene) -> str:
    bubbles = [line for line in scene.lines if line.place == "bubble"]
    rest = sorted((line for line in scene.lines if line.place != "bubble"), key=lambda line: line.box[1])
    said = ""
    if len(rest) == 1:
        said += f' The text says "{rest[0].text}".'
    elif any(line.place == "paragraph" for line in rest):
        said += f" The text says {_quoted(rest)}."
    elif rest:
        placed = [f'"{line.text}" {_place_word(line.place)}' for line in rest]
        said += f" The text says {join(placed)}."
    return said + "".join(f' A speech bubble says "{line.text}".' for line in bubbles)


def _quoted(lines: Sequence[Line]) -> str:
    return join([f'"{line.text}"' for line in lines])


def _place_word(place: str) -> str:
    return f"at the {place}" if place in ("top", "bottom") else "in the middle"


def name_things(scene: Scene) -> str:
    """Return the things from left to right, equal ones together: "a red cat and two dogs"."""
    ordered = sorted(scene.things, key=lambda thing: thing.box[0])
    groups = Counter((thing.name, thing.colour) for thing in ordered)
    said = []
    for (name, colour), count in groups.items():
        words = " ".join(word for word in (colour, name if count == 1 else plural(name)) if word)
        article = "an" if words[0] in "aeiou" else "a"
        said.append(f"{article} {words}" if count == 1 else f"{NUMBERS[count]} {words}")
    return join(said)


def name_background(scene: Scene) -> str:
    """Return the background with its article: "a blue background"."""
    first = scene.colours[0]
    words = {
        "gradient": f"{first} and {scene.colours[-1]} background",
        "stripes": f"striped {first} and {scene.colours[-1]} background",
        "texture": f"rough {first} background",
        "noise": f"grainy {first} background",
        "crowd": f"spotted {first} background",
    }.get(scene.kind, f"{first} background")
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def join(parts: list[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def read(scene: Scene) -> str:
    """Return the lines of text from top to bottom."""
    ordered = sorted(scene.lines, key=lambda line: line.box[1])
    return "\n".join(line.text for line in ordered) or NO_TEXT


def ask(scene: Scene, rng: random.Random, num_turns: int) -> list[Turn]:
    """Return a conversation about a scene; reading, where there is text, and describing come up most."""
    turns = [Turn(rng.choice(READ), read(scene), "read")]
    asked = rng.choice(DESCRIBE)
    turns.append(Turn(asked, describe(scene, asked), "describe"))
    turns += rng.sample(made := _details(scene, rng), min(len(made), max(0, num_turns - 1)))
    reading = 6 if len(scene.lines) >= len(scene.things) else 2 if scene.lines else 1
    first = turns.pop(rng.choices(range(len(turns)), [reading, 5, *[1] * (len(turns) - 2)])[0])
    rng.shuffle(turns)
    return [first, *turns[: num_turns - 1]]


def ask_apart(scene: Scene, rng: random.Random, num_turns: int) -> list[Turn]:
    """Return questions that may each be asked alone: reading or describing, or both, then details."""
    asked = rng.choice(DESCRIBE)
    turns = [Turn(rng.choice(READ), read(scene), "read"), Turn(asked, describe(scene, asked), "describe")]
    if len(scene.lines) > 2 or (not scene.lines and rng.random() < 0.7):
        turns.pop(rng.randrange(2) if scene.lines else 0)  # long ones would say the same twice
        if not scene.lines and len(scene.things) > 1 and rng.random() < 0.5:
            turns.clear()  # which leaves room for each thing
    rng.shuffle(turns)
    made = _details(scene, rng)
    rng.shuffle(made)
    made.sort(key=lambda turn: _URGENCY.get(turn.skill, 3) if turn.question not in BACKGROUND else 3)
    return turns + made[: max(1, num_turns - len(turns))]


def _details(scene: Scene, rng: random.Random) -> list[Turn]:
    counts = Counter(thing.name for thing in scene.things)
    absent = rng.choice([name for name in THINGS if name not in counts])
    turns = [
        Turn("What things are in the picture?", _sentence(name_things(scene) or "nothing"), "things"),
        Turn(f"Is there {_one(absent)}?", "No.", "presence"),
    ]
    if scene.kind not in ("gradient", "stripes"):
        asked = rng.choice(BACKGROUND)
        turns.append(Turn(asked, f"{scene.colours[0].capitalize()}.", "colour"))
    for name, count in counts.items():
        turns.append(Turn(f"How many {plural(name)} are there?", f"{NUMBERS[count].capitalize()}.", "count"))
        turns.append(Turn(f"Is there {_one(name)}?", "Yes.", "presence"))
        coloured = {thing.colour for thing in scene.things if thing.name == name}
        colour = next(iter(coloured))
        if len(coloured) == 1 and colour is not None:
            verb, named = ("is", name) if count == 1 else ("are", plural(name))
            word = rng.choice(("colour", "color"))
            turns.append(Turn(f"What {word} {verb} the {named}?", f"{colour.capitalize()}.", "colour"))
        if count == 1:
            box = next(thing.box for thing in scene.things if thing.name == name)
            turns.append(Turn(f"Where is the {name}?", _side(box, scene), "place"))
    return turns


def _one(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _side(box: tuple[float, float, float, float], scene: Scene) -> str:
    middle = (box[0] + box[2]) / 2 / scene.image.width
    return "On the left." if middle < 0.4 else "On the right." if middle > 0.6 else "In the middle."


def every_word() -> list[str]:
    """Return sentences that hold all words of captions, questions and answers, but none of what is read."""
    names = [word for name in THINGS for word in (name, plural(name))]
    kinds = "background striped rough grainy spotted chat messages speech bubble".split()
    lower = [*names, *COLOURS, *NUMBERS, *kinds, "a", "an", "and", "on", "with", "the", "nothing"]
    sentences = [*DESCRIBE, *READ, NO_TEXT, "Yes. No.", "On the left. In the middle. On the right."]
    sentences += ["There are two. There is one. The text says at the top and at the bottom."]
    sentences += [
        "I see a thing, on a background. A chat on a background.",
        "The messages say, and. A speech bubble says.",
        'say ". say ", say "',
    ]
    sentences += ["What things are in the picture? Is there a? Is there an? Where is the?"]
    sentences += ["How many are there? What colour is the background? What color are the?"]
    return [*sentences, *(f" {word}" for word in lower), *(f" {word.capitalize()}" for word in lower)]
