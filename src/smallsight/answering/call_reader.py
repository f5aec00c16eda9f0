"""Reads the call in an answer that is held to a tool while the answer arrives: its name, then its arguments.

The answer is that of ``tool_calls.forced_schema``. Arguments lose only the white space between their parts,
so that those of a stream, joined, are those of the whole answer.
"""

from __future__ import annotations

import json
import re

from smallsight.answering.question import Tools

_SPACE = " \t\r\n"
_MAX_HEAD_CHARS = 4096
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)')


class CompactObject:
    """Passes on one JSON object as it arrives, without the white space between its parts, up to its end."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_text = False
        self._is_escaped = False
        self.is_complete = False

    def push(self, text: str) -> str:
        """Add new text; return what of it belongs to the object."""
        kept = []
        for one in text:
            if self.is_complete:
                break
            if self._in_text:
                kept.append(one)
                self._in_text = self._is_escaped or one != '"'
                self._is_escaped = one == "\\" and not self._is_escaped
            elif one not in _SPACE:
                kept.append(one)
                self._in_text = one == '"'
                self._depth += (one in "{[") - (one in "}]")
                self.is_complete = self._depth == 0
        return "".join(kept)


class CallReader:
    """Reads one answer; ``name`` is None until the name and the beginning of the arguments have arrived."""

    def __init__(self, tools: Tools | None) -> None:
        forced = () if tools is None else tools.forced
        self._names = frozenset(tool.name for tool in forced)
        self._only = forced[0].name if len(forced) == 1 else None
        self._pending = ""
        self._may_begin = bool(forced)
        self._arguments = CompactObject()
        self.name: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the arguments have arrived to their end."""
        return self._arguments.is_complete

    def push(self, text: str) -> str:
        """Add new text; return the arguments in it, "" before the first and after the last."""
        if self.name is None and self._may_begin:
            text = self._begin(text)
        return "" if self.name is None else self._arguments.push(text)

    def _begin(self, text: str) -> str:
        """Look for the beginning of the arguments; return the text from there on, once it is known."""
        self._pending += text
        given = self._pending.lstrip()
        if given and (not given.startswith("{") or len(given) > _MAX_HEAD_CHARS):
            self._may_begin = False  # text, or a call in another form
        elif given and self._only is not None:
            self.name = self._only
            return given
        elif (head := _HEAD.match(self._pending)) is not None:
            name = str(json.loads(head[1], strict=False))
            if name in self._names:
                self.name = name
                return self._pending[head.end() :]
            self._may_begin = False  # another server's answer: no such tool
        return ""
