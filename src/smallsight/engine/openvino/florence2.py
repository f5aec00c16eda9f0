"""Wires one Florence-2: processor, three networks, and the worker that searches for answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.decoding.beam_search import BeamOptions
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.search_worker import ActiveSearch, SearchWorker
from smallsight.engine.engine import EngineOptions
from smallsight.engine.generation import Generation
from smallsight.engine.openvino.encoder_decoder import EncoderDecoder
from smallsight.engine.openvino.vision_runner import VisionRunner
from smallsight.engine.openvino.weight_store import open_stored, tuning, weights_key
from smallsight.engine.sampling_options import MAX_BEAMS, SamplingOptions
from smallsight.errors import ArgumentError, PromptTooLongError
from smallsight.families.byte_level import token_bytes
from smallsight.families.florence2.generation_defaults import GenerationDefaults, read_generation_defaults
from smallsight.families.florence2.post_process import in_words
from smallsight.families.florence2.processor import Florence2Processor, Florence2Prompt
from smallsight.families.florence2.stored import STORED_VERSION, scheme_of, store_text, store_vision
from smallsight.families.florence2.tasks import DESCRIBE, TASKS
from smallsight.families.florence2.text_graphs import build_decoder_graph, build_encoder_graph
from smallsight.families.florence2.vision_graph import build_vision_graph
from smallsight.families.florence2.weights import Florence2Weights
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.families.prompt_length import require_length
from smallsight.graph.compiled import CompiledNetwork, compile_network
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import Bundle, stored_bytes
from smallsight.quant.scheme import Stored


@dataclass(frozen=True, eq=False)
class Florence2Engine:
    """A loaded Florence-2. ``stored`` must live as long as the networks behind ``worker``."""

    processor: Florence2Processor
    defaults: GenerationDefaults
    worker: SearchWorker
    features: FeatureCache
    stored: Mapping[str, Stored]
    weights_bytes: int
    key: str
    describe_prompt: str = DESCRIBE
    supports_chat: bool = False
    max_beams: int = MAX_BEAMS
    tasks: frozenset[str] = frozenset(TASKS)

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,  # noqa: ARG002 - every picture is one square of one size
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str = "",
    ) -> Generation:
        """Ask the last question about the one picture; earlier turns are not seen, this is no chat model."""
        beam_options = self._beam_options(options, ignores_end=ignores_end)
        limit = self.processor.config.text_positions
        require_length(self.processor.tokenizer, messages, limit)
        prompt = self.processor.prepare(*_question(messages))
        if (num_tokens := len(prompt.prepared.token_ids)) > limit:
            raise PromptTooLongError(
                f"The prompt has {num_tokens} tokens (limit {limit}).", hint="shorten the text."
            )

        def read(token_ids: Sequence[int]) -> tuple[str, Mapping[str, Any] | None]:
            return in_words(self.processor.read(token_ids, prompt), prompt.task)

        return self.worker.submit(ActiveSearch(prompt.prepared, beam_options, read, client))

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return token_bytes(self.processor.tokenizer, token_id)

    def close(self) -> None:
        """End the worker; the networks' memory goes with the last reference to this."""
        self.worker.close()

    def _beam_options(self, options: SamplingOptions, *, ignores_end: bool) -> BeamOptions:
        plain = SamplingOptions(max_tokens=options.max_tokens, num_beams=options.num_beams, seed=options.seed)
        if options != plain:
            raise ArgumentError(
                "Florence-2 searches with beams: no sampling options, stop strings, logprobs or JSON schema.",
                hint="give max_tokens and num_beams only.",
            )
        config, defaults = self.processor.config, self.defaults
        return BeamOptions(
            start_token_id=config.start_token_id,
            end_token_ids=frozenset(() if ignores_end else (config.end_token_id,)),
            max_length=min(1 + options.max_tokens, config.text_positions),
            num_beams=options.num_beams or defaults.num_beams,
            length_penalty=defaults.length_penalty,
            early_stopping=defaults.early_stopping,
            no_repeat_ngram=defaults.no_repeat_ngram,
            forced_first_token_id=defaults.forced_first_token_id,
            forced_last_token_id=defaults.forced_last_token_id,
        )


def load_florence2(
    model_dir: Path,
    precision: str,
    *,
    threads: int = 0,
    prepared_dir: Path | None = None,
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
) -> Florence2Engine:
    """Load a folder in Hugging Face layout, of either naming; raises subclasses of SmallsightError."""
    processor = Florence2Processor(model_dir)
    config, image_px = processor.config, processor.image_px
    weight_files = find_weight_files(model_dir)
    sizes, scheme = config.sizes(image_px), scheme_of(precision)
    weights = Florence2Weights(weight_files, sizes)
    key = weights_key(weight_files, f"{config!r} {image_px}", scheme, STORED_VERSION, prepared_dir)

    def make() -> Iterable[tuple[str, Stored]]:
        fresh = Florence2Weights(weight_files, sizes)
        yield from store_vision(fresh, config, scheme)
        yield from store_text(fresh, config, scheme)

    path = None if prepared_dir is None else prepared_dir / f"{key}.weights"
    stored = open_stored(make, path, weight_files, on_progress)
    builders: tuple[Callable[[], ov.Model], ...] = (
        lambda: build_vision_graph(config, stored, image_px),
        lambda: build_encoder_graph(config, stored, scheme.arithmetic),
        lambda: build_decoder_graph(config, stored, scheme.arithmetic),
    )

    def compiled(build: Callable[[], ov.Model]) -> CompiledNetwork:
        return compile_network(build, threads=threads, tuning=tuning(scheme))

    with ThreadPoolExecutor(2) as several:
        vision, encoder, decoder = several.map(compiled, builders)
    release = stored.release_pages if isinstance(stored, Bundle) else None
    features = FeatureCache((options or EngineOptions()).feature_cache_bytes)
    worker = SearchWorker(
        VisionRunner(vision, processor.normalise, features, release),
        EncoderDecoder(encoder, decoder, weights.map_embeddings()),
        config.image_token_id,
        release,
    )
    weights_bytes = sum(stored_bytes(one) for one in stored.values())
    defaults = read_generation_defaults(model_dir)
    return Florence2Engine(processor, defaults, worker, features, stored, weights_bytes, key)


def _question(messages: Sequence[Message]) -> tuple[str, Any]:
    """Return what the user asked last, and the one picture of the conversation."""
    pictures = [part.image for message in messages for part in message.parts if isinstance(part, PicturePart)]
    if len(pictures) != 1:
        raise ArgumentError(
            f"Florence-2 looks at one picture at a time, and was given {len(pictures)}.",
            hint="ask about each by itself.",
        )
    asked = [message for message in messages if message.role == "user"][-1]
    text = " ".join(part.text for part in asked.parts if isinstance(part, TextPart))
    return text.strip() or DESCRIBE, pictures[0]


__all__ = ["Florence2Engine", "Florence2Prompt", "load_florence2"]
