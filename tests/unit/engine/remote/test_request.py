"""What another server is asked."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from smallsight.engine.remote.request import data_url, remote_body
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError
from smallsight.families.messages import Detail, Message, PicturePart, TextPart, ToolCall


def picture(width: int = 30, height: int = 20) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def opened(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def test_small_pictures_arrive_as_they_are():
    url = data_url(picture())
    assert url.startswith("data:image/png;base64,")
    assert np.array_equal(np.array(opened(url)), np.array(picture()))


def test_large_ones_are_small_files_of_the_same_size():
    url = data_url(Image.new("RGBA", (2000, 1500), (9, 80, 200, 255)))
    assert url.startswith("data:image/jpeg;base64,")
    assert opened(url).size == (2000, 1500)
    assert len(url) < 200_000


def test_a_conversation_keeps_its_order():
    messages = [
        Message("system", (TextPart("You see."),)),
        Message("user", (TextPart("a"), PicturePart(picture()), TextPart("b"))),
    ]
    body = remote_body(messages, Detail.HIGH, SamplingOptions(max_tokens=5), "m")
    assert body["messages"][0] == {"role": "system", "content": "You see."}
    kinds = [part["type"] for part in body["messages"][1]["content"]]
    assert kinds == ["text", "image_url", "text"]
    assert body["messages"][1]["content"][1]["image_url"]["detail"] == "high"
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == ("m", 5, 0.0, True)
    assert not {"top_p", "top_k", "seed", "stop", "logit_bias", "response_format"} & body.keys()


def test_options_are_passed_on():
    options = SamplingOptions(
        temperature=0.5,
        top_p=0.9,
        seed=3,
        stop=("x",),
        logit_bias=((7, 1.5),),
        json_schema='{"type":"object"}',
    )
    body = remote_body([Message("user", (TextPart("a"),))], Detail.AUTO, options, "m")
    assert (body["temperature"], body["top_p"], body["seed"], body["stop"]) == (0.5, 0.9, 3, ["x"])
    assert body["logit_bias"] == {"7": 1.5}
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize("options", [{"num_logprobs": 0}, {"num_beams": 3}])
def test_what_stays_here_is_refused(options: dict[str, int]):
    with pytest.raises(ArgumentError, match="another server"):
        remote_body([Message("user", (TextPart("a"),))], Detail.AUTO, SamplingOptions(**options), "m")


def test_tools_calls_and_results_are_passed_on():
    tools = {"tools": [{"type": "function", "function": {"name": "now"}}], "tool_choice": "required"}
    messages = [
        Message("assistant", (), (ToolCall("c", "now", "{}"),)),
        Message("tool", (TextPart("noon"),), call_id="c", name="now"),
    ]
    options = SamplingOptions(max_tokens=None, tools=json.dumps(tools), json_schema="{}")
    body = remote_body(messages, Detail.AUTO, options, "m")
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    assert body["messages"] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "noon", "tool_call_id": "c"},
    ]
    assert (body["tools"], body["tool_choice"]) == (tools["tools"], "required")
    assert not {"response_format", "max_tokens"} & body.keys()
