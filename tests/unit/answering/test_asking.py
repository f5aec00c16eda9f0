"""What a model hears of a conversation, and with which options."""

from __future__ import annotations

from smallsight.answering.asking import _conversation, _options
from smallsight.answering.question import PictureLink, Question, Turn, VideoLink
from smallsight.families.messages import Video
from smallsight.inventory.served_models import ServedModel
from smallsight.model.picture_argument import NamedImage, NamedVideo

A, B, C = (PictureLink(name) for name in "abc")
V = VideoLink("v")
OPENED = {
    **{link: NamedImage(link.url, None) for link in (A, B, C)},
    V: NamedVideo("v", Video((), 1.0)),
}
SERVED = ServedModel(
    name="m",
    source="m",
    precision="auto",
    device="auto",
    needed_bytes=0,
    max_bytes=None,
    cleanup_aggressive=False,
    max_tokens=77,
    temperature=0.3,
)


def heard(*turns: Turn, supports_chat: bool) -> list[tuple[str, list[str]]]:
    return [
        (turn["role"], [part.get("text") or part[part["type"]].name for part in turn["content"]])
        for turn in _conversation(turns, OPENED, supports_chat=supports_chat)
    ]


def test_a_chat_model_hears_everything():
    turns = (
        Turn("system", ("s",)),
        Turn("user", (A, "1")),
        Turn("assistant", ("2",)),
        Turn("user", ("3", B)),
    )
    assert heard(*turns, supports_chat=True) == [
        ("system", ["s"]),
        ("user", ["a", "1"]),
        ("assistant", ["2"]),
        ("user", ["3", "b"]),
    ]


def test_another_hears_the_last_conversation_about_the_last_pictures():
    first, second = Turn("user", (A, B, "1")), Turn("user", (C, "2"))
    assert heard(Turn("system", ("s",)), first, second, supports_chat=False) == [("user", ["c", "2"])]
    assert heard(first, Turn("assistant", ("x",)), Turn("user", ("3",)), supports_chat=False) == [
        ("user", ["a", "b", "3"])
    ]
    assert heard(Turn("user", ("1",)), supports_chat=False) == [("user", ["1"])]
    assert heard(Turn("system", ("s",)), supports_chat=False) == [("system", ["s"])]


def options(index: int = 0, *, searches: bool = False, **asked: object) -> dict[str, object]:
    return _options(Question(None, (), **asked), SERVED, index, searches=searches)


def test_the_models_values_where_the_request_says_nothing():
    assert options() == {"max_tokens": 77, "detail": "auto", "temperature": 0.3}
    assert options(max_tokens=5, temperature=0.0)["temperature"] == 0.0


def test_choices_of_one_seed_differ_in_a_known_way():
    assert [options(i, sampling={"seed": 2**63 - 1})["seed"] for i in range(3)] == [2**63 - 1, 0, 1]


def test_a_model_that_searches_is_not_told_how_to_draw():
    given = {"seed": 1, "top_p": 0.5, "stop": ["x"]}
    assert options(searches=True, temperature=1.0, sampling=given) == {
        "max_tokens": 77,
        "detail": "auto",
        "stop": ["x"],
    }


def test_a_video_is_heard_where_it_stands():
    turns = (Turn("user", (A, "1")), Turn("assistant", ("2",)), Turn("user", (V, "3")))
    assert heard(*turns, supports_chat=True) == [
        ("user", ["a", "1"]),
        ("assistant", ["2"]),
        ("user", ["v", "3"]),
    ]
    assert heard(*turns, supports_chat=False) == [("user", ["v", "3"])]
    (turn,) = _conversation(turns[-1:], OPENED, supports_chat=True)
    assert [part["type"] for part in turn["content"]] == ["video", "text"]
