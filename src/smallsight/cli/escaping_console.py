"""A console that passes no control character of its text on, and prints all of it in a narrow terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment

from smallsight.policy.shown_text import in_lines

_UNKNOWN_COLUMNS = 80
_FEWEST_COLUMNS = 20  # lines are indented: in fewer there may be no place for a character


class EscapingConsole(Console):
    """A rich console that shows control characters escaped, whatever is printed.

    Colours and links are the console's own, beside the text.
    """

    @property
    def size(self) -> ConsoleDimensions:
        """The size of the terminal; COLUMNS=0 says that it is not known, where rich would print nothing."""
        width, height = super().size
        return ConsoleDimensions(max(width or _UNKNOWN_COLUMNS, _FEWEST_COLUMNS), height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

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
