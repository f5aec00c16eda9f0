"""Wires one SmolVLM: processor, networks, cache, scheduler and the worker that drives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smallsight.catalog.checkpoint import find_weight_files
from smallsight.engine.decoding.block_pool import BlockPool
from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.json_constraint import JsonGrammar
from smallsight.engine.decoding.scheduler import Scheduler
from smallsight.engine.decoding.worker import Parts, Worker
from smallsight.engine.engine import EngineOptions
from smallsight.engine.generation import Generation
from smallsight.engine.openvino.smolvlm_networks import Networks, load_networks
from smallsight.engine.openvino.text_runner import TextRunner
from smallsight.engine.openvino.vision_runner import VisionRunner
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import SettingsError
from smallsight.families.frame_sampling import FewFrames, FrameSampling
from smallsight.families.messages import Detail, Message, TiledPicture
from smallsight.families.patches import cut_patches
from smallsight.families.prompt_length import require_length
from smallsight.families.smolvlm.config import read_config
from smallsight.families.smolvlm.processor import SmolVLMProcessor
from smallsight.graph.paged_attention import BLOCK_TOKENS
from smallsight.policy.progress import OnProgress
from smallsight.quant.bundle import Bundle
from smallsight.quant.scheme import SCHEMES


@dataclass(frozen=True, eq=False)
class SmolVLMEngine:
    """A loaded model: requests go through ``worker``, prompts are made by ``processor``."""

    processor: SmolVLMProcessor
    networks: Networks
    worker: Worker
    features: FeatureCache
    context_tokens: int
    describe_prompt: str = "Can you describe this image?"
    describe_video_prompt: str = "Can you describe this video?"
    supports_chat: bool = True

    @property
    def key(self) -> str:
        """Names the weights as they are stored."""
        return self.networks.key

    @property
    def weights_bytes(self) -> int:
        """The weights as they are stored."""
        return self.networks.weights_bytes

    @property
    def frame_sampling(self) -> FrameSampling:
        """As the checkpoint was trained on videos; of one that was not, a few frames of a tile each."""
        return self.processor.videos or FewFrames(max_side_px=self.processor.tile_side_px)

    def recall(self, digest: bytes, detail: Detail) -> TiledPicture | None:
        """Return a picture as it was shown before, by the SHA-256 of its file, or None."""
        return self.processor.recall(digest, detail)

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str = "",
    ) -> Generation:
        """Make the prompt and hand it to the worker."""
        if options.num_beams not in (None, 1):
            raise SettingsError("SmolVLM does not search with beams.", hint="leave num_beams out.")
        require_length(self.processor.tokenizer, messages, self.context_tokens)
        prompt = self.processor.prepare(messages, detail=detail)
        return self.worker.submit(prompt, options, ignores_end=ignores_end, client=client)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return self.processor.token_bytes(token_id)

    def close(self) -> None:
        """End the worker; the networks' memory goes with the last reference to this."""
        self.worker.close()


def load_smolvlm(
    model_dir: Path,
    precision: str,
    *,
    threads: int = 0,
    prepared_dir: Path | None = None,
    options: EngineOptions | None = None,
    on_progress: OnProgress | None = None,
) -> SmolVLMEngine:
    """Load a folder in Hugging Face layout in one of ``SCHEMES``; raises subclasses of SmallsightError."""
    chosen = options or EngineOptions()
    config = read_config(model_dir)
    processor = SmolVLMProcessor.load(model_dir, tiled_bytes=chosen.tiled_bytes)
    networks = load_networks(
        find_weight_files(model_dir),
        config,
        SCHEMES[precision],
        prepared_dir=prepared_dir,
        threads=threads,
        on_progress=on_progress,
    )

    def to_patches(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        return cut_patches(processor.normalise(pixels_HWC), config.vision.patch_px)

    release = networks.stored.release_pages if isinstance(networks.stored, Bundle) else None
    text = TextRunner(
        networks.text,
        cache_bytes=chosen.cache_bytes,
        min_tokens=config.text.context_tokens,
        on_packed=release,
    )
    pool = BlockPool(chosen.limit_blocks(text.cache.num_blocks), BLOCK_TOKENS)
    scheduler = Scheduler(
        pool,
        max_sequences=chosen.max_sequences,
        chunk_tokens=chosen.chunk_tokens,
        max_step_tokens=chosen.max_step_tokens,
        context_tokens=config.text.context_tokens,
    )
    features = FeatureCache(chosen.feature_cache_bytes)
    vision = VisionRunner(networks.vision, to_patches, features, release)
    grammar = JsonGrammar(processor.tokenizer, processor.stop_token_ids)
    parts = Parts(
        processor,
        vision,
        text,
        networks.embeddings,
        scheduler,
        config.text.context_tokens,
        grammar.constrain,
    )
    return SmolVLMEngine(processor, networks, Worker(parts), features, config.text.context_tokens)
