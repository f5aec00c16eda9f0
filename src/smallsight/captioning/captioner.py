"""What answers the pictures of a run: a model in this process, or whatever else has this shape."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from smallsight.captioning.caption_columns import CaptionColumns
from smallsight.captioning.caption_work import CaptionWork, OpenedPicture
from smallsight.captioning.source_picture import SourcePicture
from smallsight.errors import SmallsightError
from smallsight.library.describing import DescribeOptions
from smallsight.library.many_answers import Answers, ShownPicture, answer_each
from smallsight.media.decoder import PictureDecoder

__all__ = ["CaptionResult", "Captioner", "HashedPicture", "LocalCaptioner"]

HashedPicture: TypeAlias = tuple[SourcePicture, str | None]  # with the SHA-256 of its bytes, if it has any


@dataclass(frozen=True, slots=True)
class CaptionResult:
    """What a run logs about the bytes of a picture, and why there is no answer, if there is none."""

    key: str
    sha256: str | None
    row: dict[str, Any]
    error: SmallsightError | None


class Captioner(Protocol):
    """Turns pictures into results."""

    @property
    def columns(self) -> CaptionColumns:
        """The columns of its rows."""
        ...

    def results(self, pictures: Iterable[HashedPicture]) -> Generator[CaptionResult, None, None]:
        """Yield one result for each picture, in any order; closing the generator stops the work."""
        ...


class LocalCaptioner:
    """Answers in the order of the pictures, with a model of this process."""

    def __init__(
        self, work: CaptionWork, prompts: Sequence[DescribeOptions], decoder: PictureDecoder
    ) -> None:
        """``prompts`` are in the order of the columns of ``work``."""
        self._work = work
        self._prompts = prompts
        self._decoder = decoder

    @property
    def columns(self) -> CaptionColumns:
        """The columns of its rows."""
        return self._work.columns

    def results(self, pictures: Iterable[HashedPicture]) -> Generator[CaptionResult, None, None]:
        """Yield one result for each picture; what cannot be opened keeps its place."""
        answered = answer_each(self._work.model, self._opened(pictures), self._prompts)
        with closing(answered):
            for opened, answers in answered:
                yield self._result(opened, answers)

    def _opened(
        self, pictures: Iterable[HashedPicture]
    ) -> Iterator[tuple[OpenedPicture, ShownPicture | SmallsightError]]:
        for picture, sha256 in pictures:
            if isinstance(picture.data, SmallsightError):
                yield OpenedPicture(picture.key or picture.source, None, {}), picture.data
            else:
                assert sha256 is not None  # noqa: S101 - for the type checker: bytes have a hash
                yield self._work.open(picture, picture.data, sha256, self._decoder)

    def _result(self, opened: OpenedPicture, answers: Answers | SmallsightError) -> CaptionResult:
        error = answers if isinstance(answers, SmallsightError) else _first_error(answers)
        row = {} if opened.sha256 is None else self._work.result(opened, answers)
        return CaptionResult(opened.key, opened.sha256, row, error)


def _first_error(answers: Answers) -> SmallsightError | None:
    return next((one for one in answers if isinstance(one, SmallsightError)), None)
