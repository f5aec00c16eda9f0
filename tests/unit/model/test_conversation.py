from __future__ import annotations

import pytest
from PIL import Image

from smallsight.errors import ArgumentError
from smallsight.families.messages import Message, PicturePart, TextPart
from smallsight.model.conversation import messages_of, pictures_in, texts_in
from smallsight.model.shown_parts import PartKind, ShownParts

RED, BLUE = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")


def shown(messages: list[Message]) -> list[tuple[str, list[object]]]:
    return [
        (one.role, [part.text if isinstance(part, TextPart) else part.image for part in one.parts])
        for one in messages
    ]


def made(pictures: list[object], question: object) -> list[tuple[str, list[object]]]:
    return shown(messages_of(pictures, question, opened))


def opened(picture: Image.Image, kind: PartKind) -> ShownParts:
    return (PicturePart(picture),)


def test_a_text_is_the_users_after_the_pictures():
    assert made([RED, BLUE], "What?") == [("user", [RED, BLUE, "What?"])]


def test_pictures_given_apart_come_first_in_what_the_user_says_first():
    turns = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "1"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "3"},
    ]
    assert made([RED], turns) == [
        ("system", ["s"]),
        ("user", [RED, "1"]),
        ("assistant", ["2"]),
        ("user", ["3"]),
    ]


def test_pictures_may_stand_where_they_were_shown():
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "image", "image": RED}]},
        {"role": "user", "content": ({"type": "image", "image": BLUE},)},
    ]
    assert made([], turns) == [("user", ["1", RED]), ("user", [BLUE])]
    assert pictures_in(turns) == [RED, BLUE]
    assert texts_in(turns) == ["1"]
    assert (pictures_in("a"), texts_in("a")) == ([], ["a"])


@pytest.mark.parametrize(
    "question",
    [
        [],
        [{"role": "king", "content": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": 5}],
        [{"role": "user", "content": [5]}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": [{"type": "image"}]}],
        [{"role": "user", "content": [{"type": "video"}]}],
        [{"role": "user", "content": [{"type": "audio", "audio": "x"}]}],
    ],
    ids=str,
)
def test_what_cannot_be_used(question: object):
    with pytest.raises(ArgumentError):
        made([], question)


def test_pictures_need_a_message_of_the_user():
    with pytest.raises(ArgumentError, match="no user message"):
        made([RED], [{"role": "assistant", "content": "x"}])


def test_parts_hold_what_they_were_given():
    (message,) = messages_of([RED], "x", opened)
    assert isinstance(message.parts[0], PicturePart)


def test_what_is_opened_as_what():
    kinds: list[PartKind] = []

    def note(picture: object, kind: PartKind) -> ShownParts:
        kinds.append(kind)
        return (PicturePart(RED),)

    parts = [{"type": "image", "image": RED}, {"type": "video", "video": "clip.mp4"}]
    messages_of([RED], [{"role": "user", "content": parts}], note)
    messages_of([RED, BLUE], "Compare.", note)
    assert kinds == [
        PartKind.ALONE,
        PartKind.PICTURE,
        PartKind.VIDEO,
        PartKind.ONE_OF_SEVERAL,
        PartKind.ONE_OF_SEVERAL,
    ]
    assert pictures_in([{"role": "user", "content": parts}]) == [RED, "clip.mp4"]
