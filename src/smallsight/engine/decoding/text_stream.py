"""Decodes tokens to text that is final: no incomplete characters, nothing that a stop string would remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smallsight.engine.decoding.proofreader import Proofreader

WINDOW_TOKENS = 6
INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class TextStream:
    """Decodes tokens as they arrive. Only a short window is decoded again for each token."""

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: tuple[str, ...] = (),
        proofreader: Proofreader | None = None,
    ) -> None:
        self._decode = decode
        self._proofreader = proofreader
        self._stop = stop
        self._window: list[int] = []
        self._decoded = ""  # the window's text that has been processed
        self._waiting = ""  # decoded, but perhaps the beginning of a stop string
        self._shown: list[str] = []
        self._has_text = False
        self.is_stopped = False
        self.stop_string: str | None = None  # the one that ended the text

    @property
    def text(self) -> str:
        """All text returned so far."""
        return "".join(self._shown)

    @property
    def is_blank(self) -> bool:
        """Whether the tokens so far decode to no text; what a proofreader makes of it does not matter."""
        return not self._has_text and not self._decode(self._window)[len(self._decoded) :].strip()

    def push(self, token_id: int) -> str:
        """Add a token and return the text that has become final."""
        if self.is_stopped:
            return ""
        self._window.append(token_id)
        decoded = self._decode(self._window)
        if decoded.endswith(INCOMPLETE) and len(self._window) < 4 * WINDOW_TOKENS:
            return ""
        new = decoded[len(self._decoded) :]
        self._has_text = self._has_text or bool(new.strip())
        self._decoded = decoded
        if len(self._window) >= 2 * WINDOW_TOKENS:
            self._window = self._window[-WINDOW_TOKENS:]
            self._decoded = self._decode(self._window)
        return self._release(new, is_last=False)

    def finish(self) -> str:
        """Return the text held back so far; nothing follows."""
        if self.is_stopped:
            return ""
        rest = self._decode(self._window)[len(self._decoded) :]
        self._window, self._decoded = [], ""
        return self._release(rest, is_last=True)

    def _release(self, new: str, *, is_last: bool) -> str:
        if self._proofreader is not None:
            new = self._proofreader.push(new, is_last=is_last)
            self.is_stopped = self._proofreader.is_stopped
            is_last |= self.is_stopped
        text = self._waiting + new
        if not self._stop:
            self._shown.append(text)
            return text
        matches = [(at, stop) for stop in self._stop if (at := text.find(stop)) >= 0]
        if matches:
            at, self.stop_string = min(matches, key=lambda match: match[0])
            self.is_stopped = True
            certain, self._waiting = text[:at], ""
        else:
            held = 0 if is_last else self._length_to_hold(text)
            certain, self._waiting = text[: len(text) - held], text[len(text) - held :]
        self._shown.append(certain)
        return certain

    def _length_to_hold(self, text: str) -> int:
        """Return the length of the longest suffix of the text that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0
