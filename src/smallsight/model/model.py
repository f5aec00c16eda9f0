"""What every loaded model can do, whatever family or engine is behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias

from smallsight.errors import SmallsightError
from smallsight.families.frame_sampling import FrameSampling
from smallsight.model.answer import Answer, MemoryReport, TileCounts
from smallsight.model.conversation import Question
from smallsight.model.picture_argument import NamedVideo, PictureArgument, Pictures, RecalledPicture
from smallsight.model.reply import Reply

__all__ = ["DEFAULT_MAX_TOKENS", "MAX_PLACES", "BatchSize", "Model", "Pictures", "Question"]

DEFAULT_MAX_TOKENS = 256
MAX_PLACES = 50  # of one thing in one picture, as moondream2's reference

BatchSize: TypeAlias = int | Literal["auto"]


class Model(Protocol):
    """A model that describes and questions pictures and videos. Close it, or use it in ``with``.

    ``detail`` is "high", "auto" or "low": how many tiles a large picture is cut into. ``sampling`` takes
    the fields of ``smallsight.engine.sampling_options.SamplingOptions`` but max_tokens, ``json_schema`` as an
    object too. Several pictures are a list or tuple. A question is a text, or the messages of a conversation
    so far, as mappings with "role" and "content", where the pictures belong to the first message of the user;
    a content may also be a list of parts, with pictures among the text: see ``conversation``. A video file
    may stand where a picture does; one that is no video model is shown some of its frames. ``length`` is
    "short" or "normal" for families that describe in both, moondream2 so far. ``client=NAME`` among
    ``sampling`` says for whom: the requests of different clients take turns. Methods raise subclasses of
    SmallsightError.
    """

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        ...

    @property
    def key(self) -> str:
        """Everything that decides its answers: name, checkpoint, precision, version of the code."""
        ...

    @property
    def supports_chat(self) -> bool:
        """Whether it sees several pictures and what was said before the last question."""
        ...

    @property
    def tasks(self) -> frozenset[str]:
        """The prompts that its family was trained to answer in a fixed form; none for most."""
        ...

    @property
    def memory(self) -> MemoryReport:
        """Current memory use."""
        ...

    @property
    def tile_counts(self) -> TileCounts:
        """How many tiles of pictures it has looked at since it was loaded, and how many it knew."""
        ...

    def describe(
        self,
        picture: PictureArgument,
        *,
        prompt: str | None = None,
        length: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401 - the options differ in type
    ) -> Answer:
        """Describe a picture; without a prompt, by the family's own."""
        ...

    def ask(
        self,
        pictures: Pictures,
        question: Question,
        *,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Answer:
        """Answer a question about one or more pictures."""
        ...

    def stream(
        self,
        pictures: Pictures,
        question: Question | None = None,
        *,
        length: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Iterator[str]:
        """Yield the text of an answer as it comes, or of a description when there is no question."""
        ...

    def start(
        self,
        pictures: Pictures,
        question: Question,
        *,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Reply:
        """Hand a question to the model and return what will become of it, without waiting for the answer."""
        ...

    def describe_many(
        self,
        pictures: Iterable[PictureArgument],
        *,
        batch_size: BatchSize = "auto",
        prompt: str | None = None,
        length: str | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Iterator[Answer | SmallsightError]:
        """Yield a description or an error for each picture in order; closing the iterator stops the work.

        Pictures are taken one by one as they are needed, in the thread that asks for the answers.
        """
        ...

    def detect(
        self, picture: PictureArgument, what: str, *, max_places: int = MAX_PLACES, detail: str = "auto"
    ) -> Answer:
        """Find the things called ``what``: ``answer.data["bboxes"]`` are [left, top, right, bottom] in
        pixels.

        Raises ArgumentError where the family does not find places by name.
        """
        ...

    def point(
        self, picture: PictureArgument, what: str, *, max_places: int = MAX_PLACES, detail: str = "auto"
    ) -> Answer:
        """Point at the things called ``what``: ``answer.data["points"]`` are [x, y] in pixels."""
        ...

    def recall(self, name: str | None, digest: bytes, detail: str = "auto") -> RecalledPicture | None:
        """Return what can be asked about in place of a picture's file that it was asked about before.

        ``digest`` is the SHA-256 of the file. None where it has forgotten it, or never keeps any.
        """
        ...

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames of a video it is shown, and how large."""
        ...

    def frames_of(self, video: PictureArgument) -> NamedVideo:
        """Open a video as this model sees it; what comes back can be asked about like the file itself."""
        ...

    def close(self) -> None:
        """Free what it holds; it cannot be used any more."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
