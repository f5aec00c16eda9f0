"""Trains Smallsight-tiny-looks: a head on the frozen tower of Smallsight-tiny, and a text encoder.

Run: python -m training.train_looks RUN_FOLDER [--drawings N] [--epochs N]

The tower's features of all drawings are computed first and kept in the folder. Which texts are true of which
drawings is known exactly, so the loss is a sigmoid over all pairs of a batch, with true pairs beyond the
diagonal.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn

from training.look_features import Pictures, features_of
from training.look_network import Looks, LookSizes
from training.look_pictures import HELD_OUT_SEED
from training.look_texts import Facts, Text, Writer, words_known
from training.muon import Muon
from training.vocabulary import COLOURS, THINGS

SEED = 20261129
FIRST_SEED = 1 << 44  # of drawings to learn from
CHUNK, HELD_OUT = 4_000, 400
BATCH, TEXTS_TRUE, TEXTS_ANY = 256, 144, 112
MATRIX_RATE, RATE, WEIGHT_DECAY, WARMUP_STEPS = 5e-3, 2e-3, 0.02, 40  # the first for matrices, by Muon
END, PADDING, UNKNOWN = "<end>", "<pad>", "<unk>"


def make_tokenizer() -> Tokenizer:
    """Return a tokenizer of whole words in lower case; all words that are not known have one token."""
    tokens = [PADDING, END, UNKNOWN, *words_known()]
    tokenizer = Tokenizer(models.WordLevel({token: number for number, token in enumerate(tokens)}, UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}]+"), "removed")
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> Tensor:
    """Return int64 [texts, length]: padding, the words, the end."""
    padding, end = (tokenizer.token_to_id(name) or 0 for name in (PADDING, END))
    ids = np.full((len(texts), length), padding, np.int64)
    for row, encoded in enumerate(tokenizer.encode_batch(list(texts), add_special_tokens=False)):
        words = [*encoded.ids[: length - 1], end]
        ids[row, length - len(words) :] = words
    return torch.from_numpy(ids)


class Batches:
    """Batches of drawings with texts that are true of some of them."""

    def __init__(self, pictures: Sequence[Pictures], rng: random.Random) -> None:
        self.features = [one.features_NPD for one in pictures]
        self.shown = [shown for one in pictures for shown in one.shown]
        self.facts = Facts(self.shown)
        self._rng = rng
        self._writer = Writer(rng)
        self._bounds = np.cumsum([0, *(len(one) for one in self.features)])

    def rows_of(self, rows: NDArray[np.int64]) -> Tensor:
        """Return float32 [rows, patches, width]."""
        found = np.empty((len(rows), *self.features[0].shape[1:]), np.float32)
        for number, features in enumerate(self.features):
            is_here = (rows >= self._bounds[number]) & (rows < self._bounds[number + 1])
            if is_here.any():
                found[is_here] = features[rows[is_here] - self._bounds[number]]
        return torch.from_numpy(found)

    def texts_for(self, rows: NDArray[np.int64]) -> list[Text]:
        """Return texts for a batch."""
        about = self._rng.choices(rows.tolist(), k=TEXTS_TRUE)
        texts = [self._writer.about(self.shown[row]) for row in about]
        return texts + [self._writer.any_text() for _ in range(TEXTS_ANY)]


def train(
    looks: Looks,
    tokenizer: Tokenizer,
    sizes: LookSizes,
    batches: Batches,
    valid: Batches,
    epochs: int,
    log: Path,
) -> None:
    """Descend, with a rate that rises for 40 steps and falls to nothing."""
    rng = np.random.default_rng(SEED)
    number = len(batches.shown)
    steps = epochs * (number // BATCH)
    optimisers = optimisers_for(looks)
    started_s, step = time.perf_counter(), 0
    for epoch in range(epochs):
        order = rng.permutation(number)
        total = 0.0
        for start in range(0, number - BATCH + 1, BATCH):
            rows = np.sort(order[start : start + BATCH])
            share = min((step + 1) / WARMUP_STEPS, 0.5 + 0.5 * math.cos(math.pi * step / steps))
            loss = loss_of(looks, tokenizer, sizes, batches, rows)
            looks.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(looks.parameters(), 1.0)
            for optimiser, rate in optimisers.items():
                for group in optimiser.param_groups:
                    group["lr"] = rate * share
                optimiser.step()
            total += float(loss.detach())
            step += 1
        line = {
            "epoch": epoch + 1,
            "loss": round(total / max(1, number // BATCH), 4),
            "seconds": round(time.perf_counter() - started_s, 1),
            "processor_seconds": round(time.process_time(), 1),
        }
        if (epoch + 1) % 5 == 0 or epoch + 1 == epochs:
            line |= measure(looks, tokenizer, sizes, valid)
        print(json.dumps(line), flush=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def optimisers_for(looks: Looks) -> dict[torch.optim.Optimizer, float]:
    """Return Muon for the matrices inside, AdamW for the rest, each with its highest rate."""
    named = dict(looks.named_parameters())
    matrices = [
        p for name, p in named.items() if p.ndim == 2 and "table" not in name and "positions" not in name
    ]
    inside = {id(p) for p in matrices}
    rest = [p for p in named.values() if id(p) not in inside]
    return {
        Muon(matrices, lr=MATRIX_RATE, weight_decay=WEIGHT_DECAY): MATRIX_RATE,
        torch.optim.AdamW(rest, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0): RATE,
    }


def loss_of(
    looks: Looks, tokenizer: Tokenizer, sizes: LookSizes, batches: Batches, rows: NDArray[np.int64]
) -> Tensor:
    """Return the loss of all pairs of a batch whose truth is known, per text."""
    texts = batches.texts_for(rows)
    true, known = batches.facts.truth(texts, rows)
    patches = batches.rows_of(rows)
    ids = token_ids(tokenizer, [text.words for text in texts], sizes.text_positions)
    logits = looks.logits(looks.pictures(patches), looks.texts(ids))
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(true).float(), reduction="none"
    )
    return (losses * torch.from_numpy(known)).sum() / len(texts)


@torch.inference_mode()
def measure(looks: Looks, tokenizer: Tokenizer, sizes: LookSizes, held_out: Batches) -> dict[str, float]:
    """Return how well words find the held-out drawings."""
    everything = np.arange(len(held_out.shown))
    pictures = torch.cat([looks.pictures(held_out.rows_of(rows)) for rows in np.array_split(everything, 8)])

    def similarities(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = looks.texts(token_ids(tokenizer, texts, sizes.text_positions))
        result: NDArray[np.float32] = (vectors @ pictures.T).numpy()
        return result

    counts = held_out.facts.counts_NT
    names = [number for number in range(len(THINGS)) if counts[:, number].any()]
    found = similarities([THINGS[number] for number in names])
    recalls, successes = [], []
    for row, number in zip(found, names, strict=True):
        best = np.argsort(-row)[:5]
        hits = int((counts[best, number] > 0).sum())
        recalls.append(hits / min(5, int((counts[:, number] > 0).sum())))
        successes.append(hits > 0)
    tinted = held_out.facts.tinted_NTC
    pairs = [
        (thing, colour)
        for thing in range(len(THINGS))
        for colour in range(len(COLOURS))
        if tinted[:, thing, colour].any()
    ]
    found = similarities([f"{list(COLOURS)[colour]} {THINGS[thing]}" for thing, colour in pairs])
    tinted_recalls = []
    for row, (thing, colour) in zip(found, pairs, strict=True):
        best = np.argsort(-row)[:5]
        relevant = tinted[:, thing, colour]
        tinted_recalls.append(relevant[best].sum() / min(5, relevant.sum()))
    return {
        "recall_at_5": round(float(np.mean(recalls)), 4),
        "found_one_in_5": round(float(np.mean(successes)), 4),
        "coloured_recall_at_5": round(float(np.mean(tinted_recalls)), 4),
        "scale": round(float(looks.scale.exp()), 3),
        "bias": round(float(looks.bias), 3),
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--drawings", type=int, default=3 * CHUNK)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    sizes = LookSizes(tokenizer.get_vocab_size())
    chunks = [
        features_of(options.run / f"train{number}.npy", FIRST_SEED + number * CHUNK, CHUNK, "train")
        for number in range(options.drawings // CHUNK)
    ]
    valid = Batches(
        [features_of(options.run / "valid.npy", HELD_OUT_SEED + HELD_OUT, HELD_OUT, "test")],
        random.Random(SEED),
    )
    looks = Looks(sizes)
    print(sizes, sum(p.numel() for p in looks.parameters()), flush=True)
    train(
        looks,
        tokenizer,
        sizes,
        Batches(chunks, random.Random(SEED)),
        valid,
        options.epochs,
        options.run / "log.jsonl",
    )
    torch.save({"sizes": sizes, "weights": looks.state_dict()}, options.run / "looks.pt")


if __name__ == "__main__":
    main()
