"""A video in a request: the names that clients have for such a part, and where the video is.

OpenAI's types have none. Source: what vLLM, SGLang, llama.cpp, mlx-vlm and transformers serve accept.
"""

from __future__ import annotations

from typing import Literal

from smallsight.errors import BadRequestError
from smallsight.openai.question import VideoLink
from smallsight.openai.wire_fields import Wire


class VideoAddress(Wire):
    """Where a video is: an address, or its bytes in base64."""

    url: str | None = None
    data: str | None = None


class VideoContent(Wire):
    """A video. The field that holds it has the part's name, or another of those in use."""

    type: Literal["video_url", "input_video", "video"]
    video_url: VideoAddress | str | None = None
    input_video: VideoAddress | str | None = None
    video: VideoAddress | str | None = None
    url: str | None = None
    data: str | None = None

    def link(self, place: str) -> VideoLink:
        """Return where the video is; raises BadRequestError, which names ``place``, when nothing says it."""
        given = self.video_url or self.input_video or self.video or VideoAddress(url=self.url, data=self.data)
        if isinstance(given, str):
            given = VideoAddress(url=given)
        if given.url:
            return VideoLink(given.url)
        if given.data:
            is_whole = given.data[:5].lower() == "data:"
            return VideoLink(given.data if is_whole else f"data:;base64,{given.data}")
        raise BadRequestError("A video has no url.", hint="send it as a data: URL, base64.", param=place)
