"""Embeds texts with all-MiniLM-L6-v2, or another checkpoint of its architecture, on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.catalog.file_hashes import file_sha256
from smallsight.errors import ArgumentError, BrokenCheckpointError, ModelClosedError
from smallsight.families.minilm.config import MiniLMConfig, read_config
from smallsight.families.minilm.graph import build_graph, product_matrices
from smallsight.families.minilm.identity import vectors_identity, vectors_key
from smallsight.families.minilm.tokenizer import MiniLMTokenizer
from smallsight.families.minilm.weights import read_weights
from smallsight.graph.compiled import CompiledNetwork
from smallsight.graph.row_probe import probe_rows
from smallsight.policy.row_bands import RowBands
from smallsight.quant.scheme import EmbedderPrecision
from smallsight.reading.remembered_network import load_or_compile
from smallsight.reading.text_batches import TextBatch, plan_batches

BUDGET_TOKENS = 512  # benchmarks/text_embedding.py: larger batches are no faster


class TextEmbedder:
    """Embeds texts as vectors of length 1 whose dot product measures similarity of meaning.

    Thread-safe: calls run one at a time. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        config: MiniLMConfig,
        tokenizer: MiniLMTokenizer,
        network: CompiledNetwork,
        *,
        key: str,
        budget_tokens: int,
        bands: RowBands,
    ) -> None:
        self.dimensions = config.hidden_size
        self.key = key
        self.from_cache = network.from_cache
        self._max_tokens = config.max_tokens
        self._budget_tokens = budget_tokens
        self._bands = bands
        self._tokenizer = tokenizer
        self._network: CompiledNetwork | None = network
        self._request: ov.InferRequest | None = network.model.create_infer_request()
        self._turn = threading.Lock()

    @classmethod
    def load(
        cls,
        model_dir: Path,
        *,
        precision: str = "int8",
        threads: int = 0,
        prepared_dir: Path | None = None,
        budget_tokens: int = BUDGET_TOKENS,
    ) -> TextEmbedder:
        """Load a folder in Hugging Face layout: config.json, tokenizer.json, model.safetensors.

        Precision is "fp32" or "int8". In ``prepared_dir`` the compiled network is stored, which makes the
        next load several times faster. ``budget_tokens`` limits the tokens of a batch. Raises ArgumentError
        for another precision and BrokenCheckpointError for invalid files.
        """
        chosen = _known_precision(precision)
        config = read_config(model_dir)
        tokenizer = MiniLMTokenizer.load(model_dir, config)
        weights_path = model_dir / "model.safetensors"
        try:
            weights_sha256 = file_sha256(weights_path, prepared_dir)
        except OSError as error:
            raise BrokenCheckpointError(f"{weights_path} cannot be read: {error.strerror}.") from error
        identity = vectors_identity(weights_sha256, chosen, config)
        network = load_or_compile(
            lambda: build_graph(config, read_weights(weights_path, config), chosen),
            {"identity": identity, "config": repr(config)},
            prepared_dir=prepared_dir,
            threads=threads,
        )
        key = vectors_key(identity, chosen)
        probe = probe_rows(
            product_matrices(config, chosen), threads=threads, tuning={}, prepared_dir=prepared_dir
        )
        return cls(config, tokenizer, network, key=key, budget_tokens=budget_tokens, bands=probe.bands)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector per text, float32 [texts, dimensions], in the order of the texts.

        Any string is allowed; texts are cut at 256 tokens. Raises ModelClosedError after ``close``.
        """
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        ids = self._tokenizer.encode(texts)
        lengths = [len(text_ids) for text_ids in ids]
        batches = plan_batches(
            lengths,
            max_tokens=self._max_tokens,
            budget_tokens=self._budget_tokens,
            bands=self._bands,
        )
        for batch in batches:
            vectors[list(batch.indices)] = self._run(batch, ids)
        return vectors

    def measure(self, texts: Sequence[str]) -> list[tuple[int, bool]]:
        """Return the number of tokens that are used of each text, and whether that is less than all of it."""
        return self._tokenizer.measure(texts)

    def close(self) -> None:
        """Free the network's memory; ``embed`` then raises ModelClosedError."""
        with self._turn:
            self._request = None
            self._network = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, batch: TextBatch, ids: list[list[int]]) -> NDArray[np.float32]:
        """Pad one batch and run the network on it."""
        shape = (len(batch.indices), batch.padded_tokens)
        token_ids_BT = np.full(shape, self._tokenizer.padding_id, np.int32)
        mask_BT = np.zeros(shape, np.int32)
        for row, index in enumerate(batch.indices):
            token_ids_BT[row, : len(ids[index])] = ids[index]
            mask_BT[row, : len(ids[index])] = 1
        with self._turn:
            if self._request is None:
                raise ModelClosedError("The text embedder has been closed.", hint="load it again.")
            self._request.infer([token_ids_BT, mask_BT])
            vectors: NDArray[np.float32] = self._request.get_output_tensor(0).data.copy()
        return vectors


def _known_precision(precision: str) -> EmbedderPrecision:
    for known in get_args(EmbedderPrecision):
        if precision == known:
            chosen: EmbedderPrecision = known
            return chosen
    raise ArgumentError(
        f"The text embedder's precision cannot be {precision!r}.",
        hint=f"use {' or '.join(get_args(EmbedderPrecision))}.",
    )
