"""Builds the request body for another server, in the format of OpenAI's chat completions."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

from PIL import Image

from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError
from smallsight.families.messages import Detail, Message, PicturePart, TextPart, TiledPart, VideoPart
from smallsight.families.plain_rgb import as_pillow

_MAX_LOSSLESS_PIXELS = 2_000_000  # larger ones are sent as JPEG: a photo as PNG takes tens of megabytes
_JPEG_QUALITY = 95


def remote_body(
    messages: Sequence[Message], detail: Detail, options: SamplingOptions, model: str
) -> dict[str, Any]:
    """Return the request body; raises ArgumentError for options that other servers do not support.

    Pictures are re-encoded: untrusted files are never forwarded unchanged.
    """
    if options.num_logprobs is not None or options.num_beams not in (None, 1):
        raise ArgumentError(
            f"{model} runs on another server: logprobs and beam search are not supported.",
            hint="omit them, or use a model on this machine.",
        )
    defaults = SamplingOptions()
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message, detail) for message in messages],
        "temperature": options.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if options.max_tokens is not None:
        body["max_tokens"] = options.max_tokens
    for name in ("top_p", "top_k", "repetition_penalty", "seed", "frequency_penalty", "presence_penalty"):
        if (value := getattr(options, name)) != getattr(defaults, name):
            body[name] = value
    if options.stop:
        body["stop"] = list(options.stop)
    if options.logit_bias:
        body["logit_bias"] = {str(token_id): bias for token_id, bias in options.logit_bias}
    tools: dict[str, Any] = {} if options.tools is None else json.loads(options.tools)
    body |= tools
    # Where the choice forces a tool, the schema is that of its arguments, for models that do not know tools.
    if options.json_schema is not None and tools.get("tool_choice", "auto") in ("auto", "none"):
        schema = {"name": "answer", "schema": json.loads(options.json_schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _message(message: Message, detail: Detail) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": _content(message, detail)}
    if message.tool_calls:
        body["content"] = body["content"] or None
        body["tool_calls"] = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
            for one in message.tool_calls
        ]
    if message.call_id is not None:
        body["tool_call_id"] = message.call_id
    return body


def _content(message: Message, detail: Detail) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in message.parts):
        return "".join(part.text for part in message.parts if isinstance(part, TextPart))
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
            continue
        for image in _images(part):
            shown = {"url": data_url(image), "detail": detail.value}
            content.append({"type": "image_url", "image_url": shown})
    return content


def _images(part: PicturePart | TiledPart | VideoPart) -> list[Image.Image]:
    """Return a picture, or the frames of a video, because not every server supports videos."""
    if isinstance(part, PicturePart):
        return [as_pillow(part.image)]
    if isinstance(part, TiledPart):
        raise TypeError("Tiles cannot be sent to another server.")
    return [Image.fromarray(frame.pixels_HWC) for frame in part.video.frames]


def data_url(image: Image.Image) -> str:
    """Return a picture as a data URL: PNG, or JPEG if it is large."""
    is_small = image.width * image.height <= _MAX_LOSSLESS_PIXELS
    buffer = io.BytesIO()
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if is_small:
        rgb.save(buffer, "PNG", compress_level=1)
    else:
        rgb.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{'png' if is_small else 'jpeg'};base64,{encoded}"
