"""The public protocol of every loaded model, independent of family and engine."""

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
from smallsight.model.scoring import GivenAnswer, Scores

__all__ = ["DEFAULT_MAX_TOKENS", "MAX_PLACES", "BatchSize", "Model", "Pictures", "Question"]

DEFAULT_MAX_TOKENS = 256
MAX_PLACES = 50  # per detection, as in moondream2's reference

BatchSize: TypeAlias = int | Literal["auto"]


class Model(Protocol):
    """A model that describes pictures and videos and answers questions. Close it, or use it in ``with``.

    ``detail`` is "high", "auto" or "low" and limits how many tiles a large picture is cut into. ``sampling``
    takes the fields of ``smallsight.engine.sampling_options.SamplingOptions`` except max_tokens;
    ``json_schema`` may also be an object. Several pictures are a list or tuple. A question is a text, or the
    messages of a conversation as mappings with "role" and "content"; the pictures belong to the first user
    message, and content may also be a list of parts that include pictures (see ``conversation``). A video
    file may be passed in place of a picture; a model not trained on videos gets some of its frames.
    ``length`` is "short" or "normal" for families that support both, currently moondream2. ``client=NAME`` in
    ``sampling`` identifies the client: requests of different clients take turns. Methods raise
    SmallsightError.
    """

    @property
    def name(self) -> str:
        """The name that the model was loaded by."""
        ...

    @property
    def key(self) -> str:
        """Identifies everything that determines its answers: name, checkpoint, precision and version."""
        ...

    @property
    def precision(self) -> str | None:
        """The precision of its weights, or "remote"; None without weights."""
        ...

    @property
    def supports_chat(self) -> bool:
        """Whether it supports several pictures and the turns before the last question."""
        ...

    @property
    def knows_tools(self) -> bool:
        """Whether it decides itself which of the offered tools to call."""
        ...

    @property
    def tasks(self) -> frozenset[str]:
        """The prompts that its family answers in a fixed form; empty for most."""
        ...

    @property
    def is_batch_independent(self) -> bool:
        """Whether greedy answers do not depend on the batch, as measured on this machine."""
        ...

    @property
    def memory(self) -> MemoryReport:
        """Current memory use."""
        ...

    @property
    def tile_counts(self) -> TileCounts:
        """The numbers of tiles encoded and found in the cache since loading."""
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
        """Describe a picture, by default with the family's prompt."""
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
        """Yield the text of an answer, or without a question of a description, as it arrives."""
        ...

    def start(
        self,
        pictures: Pictures,
        question: Question | None = None,
        *,
        length: str | None = None,
        max_tokens: int | None = DEFAULT_MAX_TOKENS,
        detail: str = "auto",
        **sampling: Any,  # noqa: ANN401
    ) -> Reply:
        """Start a request, without a question a description, and return its reply without waiting.

        ``max_tokens`` None lets the answer take the rest of the context.
        """
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

        Pictures are consumed one by one as needed, in the thread that iterates.
        """
        ...

    def detect(
        self, picture: PictureArgument, what: str, *, max_places: int = MAX_PLACES, detail: str = "auto"
    ) -> Answer:
        """Detect the things named ``what``; ``answer.data["bboxes"]`` are pixels [left, top, right, bottom].

        Raises ArgumentError if the family does not support detection by name.
        """
        ...

    def point(
        self, picture: PictureArgument, what: str, *, max_places: int = MAX_PLACES, detail: str = "auto"
    ) -> Answer:
        """Point at the things named ``what``; ``answer.data["points"]`` are [x, y] in pixels."""
        ...

    def score(
        self, pictures: Pictures, question: Question | None, answer: GivenAnswer, *, detail: str = "auto"
    ) -> Scores:
        """Return how likely each token of a given answer is, and every other token in its place.

        Without a question the answer is scored as a description. The answer is a text, which gets no end
        token, or token ids such as ``Answer.token_ids``: a text may be tokenised otherwise than it was
        generated. A model's own greedy answer has ``scores.top_ids == scores.token_ids``, unless a family
        searches with beams and forbids repetition, as Florence-2. Raises ArgumentError for an empty answer
        and for models that know no distributions: remote ones and ``test``.
        """
        ...

    def count_tokens(
        self, pictures: Pictures, question: Question, *, detail: str = "auto", tools: str | None = None
    ) -> int:
        """Return how many tokens the prompt of ``ask`` has, image tokens included, without answering it.

        ``tools`` count only for a model that knows tools, since no other reads them. Raises ArgumentError for
        remote models.
        """
        ...

    def recall(self, name: str | None, digest: bytes, detail: str = "auto") -> RecalledPicture | None:
        """Return a cached picture that can be passed in place of its file, or None.

        ``digest`` is the SHA-256 of the file.
        """
        ...

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames of a video the model gets, and at what size."""
        ...

    def frames_of(self, video: PictureArgument) -> NamedVideo:
        """Sample a video's frames for this model; the result can be passed in place of the file."""
        ...

    def close(self) -> None:
        """Free the model's memory; it cannot be used afterwards."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
