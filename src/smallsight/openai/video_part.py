"""The video part of a request, under the names that clients use for it.

OpenAI has no such type. Source: what vLLM, SGLang, llama.cpp, mlx-vlm and transformers serve accept.
"""

from __future__ import annotations

from typing import Literal

from smallsight.answering.question import VideoLink
from smallsight.errors import BadRequestError
from smallsight.openai.wire_fields import Wire


class VideoAddress(Wire):
    """A video's URL, or its bytes in base64."""

    url: str | None = None
    data: str | None = None


class VideoContent(Wire):
    """A video; clients put it into the field named like the type, or into one of the others."""

    type: Literal["video_url", "input_video", "video"]
    video_url: VideoAddress | str | None = None
    input_video: VideoAddress | str | None = None
    video: VideoAddress | str | None = None
    url: str | None = None
    data: str | None = None

    def link(self, field: str) -> VideoLink:
        """Return the link to the video; raises BadRequestError, which names ``field``, if there is none."""
        given = self.video_url or self.input_video or self.video or VideoAddress(url=self.url, data=self.data)
        if isinstance(given, str):
            given = VideoAddress(url=given)
        if given.url:
            return VideoLink(given.url)
        if given.data:
            is_whole = given.data[:5].lower() == "data:"
            return VideoLink(given.data if is_whole else f"data:;base64,{given.data}")
        raise BadRequestError("A video has no url.", hint="send it as a data: URL, base64.", param=field)
