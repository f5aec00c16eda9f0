"""The record of a model family: what holds for all its models before one is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from smallsight.families.tensor_shape import TensorShape

if TYPE_CHECKING:
    from pathlib import Path

    from smallsight.families.inline_model import InlineModel
    from smallsight.quant.scheme import Scheme


class Plan(StrEnum):
    """How a family's tokens attend to one another, which decides what runs it."""

    INLINE = "causal, with image tokens in the text"
    PREFIX = "bidirectional within a picture, then causal"
    ENCODER_DECODER = "encoder-decoder with beam search"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What models of a family can do besides answering a question about one picture.

    ``tasks`` are the task prompts, ``reading_tasks`` those of them that ask for the text in a picture.
    ``lengths`` maps a description length's name to its prompt. With ``knows_tools`` they decide themselves
    which of the offered tools to call.
    """

    supports_chat: bool = False
    knows_tools: bool = False
    detects_places: bool = False
    recalls_pictures: bool = False
    searches_with_beams: bool = False
    tasks: frozenset[str] = frozenset()
    reading_tasks: frozenset[str] = frozenset()
    lengths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompts:
    """A family's prompts for descriptions; without ``describe_video``, frames are described as pictures."""

    describe: str
    describe_video: str | None = None


@dataclass(frozen=True)
class Family:
    """A model family; ``title`` is its name in messages.

    ``tensor_shapes`` and ``kv_cache_bytes`` take an architecture's sizes. ``open_inline`` opens a folder for
    engines that run ``Plan.INLINE``. ``check_weights`` compares the headers of a folder's weights with its
    configuration. ``check_template`` tries the folder's chat template; the second folder remembers results.
    Both raise BrokenCheckpointError or ModelNotRunnableError. ``adapt_scheme`` returns a scheme with the
    family's own forms where it needs them. ``context_tokens`` reads from a folder how many tokens a prompt
    and its answer may have together, and raises as those two do. All import their dependencies when called.
    """

    name: str
    title: str
    plan: Plan
    tensor_shapes: Callable[[Mapping[str, Any]], tuple[TensorShape, ...]]
    kv_cache_bytes: Callable[[Mapping[str, Any]], int]
    capabilities: Capabilities
    prompts: Prompts
    open_inline: Callable[[Path, Scheme, int], InlineModel] | None = None
    check_weights: Callable[[Path], None] | None = None
    check_template: Callable[[Path, Path | None], None] | None = None
    adapt_scheme: Callable[[Scheme], Scheme] | None = None
    context_tokens: Callable[[Path], int] | None = None

    def adapted(self, scheme: Scheme) -> Scheme:
        """Return the scheme in which a model of the family is stored."""
        return scheme if self.adapt_scheme is None else self.adapt_scheme(scheme)

    def check_folder(self, model_dir: Path, notes_dir: Path | None) -> None:
        """Check what can be checked before the first load; raises as its parts do."""
        if self.check_weights is not None:
            self.check_weights(model_dir)
        if self.check_template is not None:
            self.check_template(model_dir, notes_dir)
