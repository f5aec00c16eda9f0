"""A console that never passes a control character of its text to the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from smallsight.policy.shown_text import in_lines


class EscapingConsole(Console):
    """A rich console that shows control characters escaped, whatever is printed.

    Colours and links are the console's own, beside the text.
    """

    def on_broken_pipe(self) -> None:
        """Leave it to the command line that nobody reads any more."""
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable with escaped text."""
        for segment in super().render(renderable, options):
            if segment.control or (segment.text.isascii() and segment.text.isprintable()):
                yield segment
            else:
                yield Segment(in_lines(segment.text), segment.style)
