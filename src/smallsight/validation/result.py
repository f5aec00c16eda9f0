"""The result of a validation: what `smallsight validate` measured, as the values of its JSON file.

Reports, stored verdicts and comparisons read nothing else. Fractions are 0 to 1, sizes are bytes, times are
seconds. A value is None where it cannot be measured, such as the memory of a model on another server.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from smallsight.catalog.entry import Verdict

FORMAT_VERSION = 1


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class System(_Value):
    """One of the two sides: a model as it was loaded here, or a model on another server.

    ``scheme`` is the identity of its quantisation scheme, ``key`` identifies everything that determines its
    answers.
    """

    name: str
    kind: Literal["local", "server"] = "local"
    precision: str | None = None
    scheme: str | None = None
    engine: str | None = None
    url: str | None = None
    key: str | None = None
    version: str | None = None  # Smallsight's


class Interval(_Value):
    """A mean over pictures with the interval of a bootstrap over pictures, 95 % by default."""

    mean: float
    low: float
    high: float


class Spread(_Value):
    """The median of several measurements, with the lowest and the highest."""

    median: float
    low: float
    high: float
    num: int


class ModuleBytes(_Value):
    """The stored weights of one module group in one form.

    ``form`` is a name such as "int4-groups-64", "bf16" or "fp32".
    """

    module: str  # "vision", "connector", "text", "head", "embeddings", "other"
    form: str
    num_parameters: int
    num_bytes: int


class Memory(_Value):
    """The memory of a fresh process that loaded one system: resident bytes (Rss), and its private bytes.

    ``peak_bytes`` is the peak while answering, ``loading_peak_bytes`` the peak while loading.
    """

    before_bytes: int
    loaded_bytes: int
    loading_peak_bytes: int
    peak_bytes: int
    private_loaded_bytes: int
    private_peak_bytes: int
    modules: tuple[ModuleBytes, ...]

    @property
    def weights_bytes(self) -> int:
        """Bytes of all stored weights."""
        return sum(one.num_bytes for one in self.modules)


class Speed(_Value):
    """The speed of one system, over all rounds; ``first_token_s`` and ``tokens_per_s`` are per answer."""

    load_s: Spread
    first_token_s: Spread
    tokens_per_s: Spread | None  # None if no answer had two tokens
    pictures_per_min: Spread


class TokenScores(_Value):
    """How the variant's distributions agree with the base's, on the base's answer (teacher forcing).

    ``agreement`` is the share of tokens that both rank first, ``kl_nats`` the mean of KL(base || variant)
    over the whole vocabulary, ``first_divergence`` the index of the first token that they rank differently.
    A token whose divergence is not finite counts ``token_scores.NOT_FINITE_NATS``.
    """

    num_tokens: int
    agreement: float
    kl_nats: float
    max_kl_nats: float
    first_divergence: int | None


class TextScores(_Value):
    """How similar two answers are as texts: BLEU and chrF from 0 to 100, as sacrebleu reports them."""

    is_exact: bool
    bleu: float
    chrf: float
    similarity: float | None  # cosine of the text embedder
    error_rate: float | None = None  # of characters, for tasks that read text
    box_overlap: float | None = None  # F1 of boxes matched by IoU >= 0.5, for tasks that find places


class PictureResult(_Value):
    """Both answers about one picture, and their scores; ``problem`` says why there are none.

    ``gibberish`` and ``base_gibberish`` list the reasons for which an answer is gibberish.
    ``quality`` is what the verdict averages; see ``summary.picture_quality``.
    """

    picture: str  # its path below the folder
    sha256: str
    question: str
    base_answer: str = ""
    variant_answer: str = ""
    text: TextScores | None = None
    tokens: TokenScores | None = None
    quality: float | None = None
    gibberish: tuple[str, ...] = ()
    base_gibberish: tuple[str, ...] = ()
    problem: str = ""


class Summary(_Value):
    """Means over all pictures that both systems answered; 0 if there are none.

    ``num_problems`` counts the other pictures, ``num_gibberish`` the variant's answers that are gibberish
    where the base's are not.
    """

    num_pictures: int
    num_problems: int
    num_gibberish: int
    exact: Interval
    quality: Interval
    bleu: Interval
    chrf: Interval
    similarity: Interval | None
    agreement: Interval | None
    kl_nats: Interval | None
    error_rate: Interval | None = None
    box_overlap: Interval | None = None


class Judgement(_Value):
    """The verdict and why. ``is_decided`` is false where the interval spans two: too few pictures.

    The verdict is "not measured yet" if no picture was compared.
    """

    verdict: Verdict
    is_decided: bool
    reasons: tuple[str, ...]  # sentences for people
    thresholds: dict[str, float]


class Machine(_Value):
    """The machine of the measurement."""

    processor: str
    instruction_sets: tuple[str, ...]
    num_threads: int
    memory_bytes: int
    system: str  # operating system and Python
    libraries: dict[str, str]  # names and versions of what determines results, such as openvino


class Side(_Value):
    """What was measured of one system alone."""

    system: System
    memory: Memory | None
    predicted_weights_bytes: int | None  # what arithmetic on tensor shapes and the form's bits gives
    speed: Speed | None


class ValidationResult(_Value):
    """Everything that one validation measured. ``picture_set`` is a hash over pictures and questions."""

    format_version: int = FORMAT_VERSION
    measured_at: datetime
    machine: Machine
    picture_set: str
    pictures_folder: str
    question: str
    max_tokens: int
    num_rounds: int
    base: Side
    variant: Side
    pictures: tuple[PictureResult, ...]
    summary: Summary
    judgement: Judgement
