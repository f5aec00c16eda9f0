from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from smallsight.answering.question import VideoLink
from smallsight.errors import BadRequestError
from smallsight.openai.chat_request import ChatRequest
from smallsight.openai.responses_request import ResponsesRequest


def chat(part: dict[str, Any]) -> ChatRequest:
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": [part]}]})


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "data:,a"}},
        {"type": "video_url", "video_url": "data:,a", "fps": 1000, "num_frames": 1_000_000},
        {"type": "input_video", "input_video": {"url": "data:,a"}},
        {"type": "input_video", "video_url": "data:,a"},
        {"type": "input_video", "input_video": {"data": "data:,a"}},
        {"type": "video", "video": "data:,a"},
        {"type": "video", "video": {"url": "data:,a"}},
        {"type": "video", "url": "data:,a"},
    ],
    ids=str,
)
def test_every_name_in_use_is_understood(part: dict[str, Any]):
    assert chat(part).question().links == [VideoLink("data:,a")]
    body = {"input": [{"role": "user", "content": [part]}]}
    assert ResponsesRequest.model_validate(body).question().links == [VideoLink("data:,a")]


def test_bare_data_is_base64():
    part = {"type": "input_video", "input_video": {"data": "AAAA", "format": "mp4"}}
    assert chat(part).question().links == [VideoLink("data:;base64,AAAA")]


@pytest.mark.parametrize("part", [{}, {"video_url": {}}, {"video_url": ""}, {"image_url": "a"}], ids=str)
def test_a_video_that_is_nowhere_is_told_by_its_place(part: dict[str, Any]):
    with pytest.raises(BadRequestError, match="no url") as caught:
        chat({"type": "video_url", **part}).question()
    assert caught.value.param == "messages.0.content"


@pytest.mark.parametrize("value", [5, ["data:,a"], {"url": 5}], ids=str)
def test_wrong_types_are_refused(value: Any):
    with pytest.raises(ValidationError):
        chat({"type": "video_url", "video_url": value})
