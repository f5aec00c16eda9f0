"""Trains Smallsight-tiny. Stop it whenever you like: run again with the same folder, it goes on.

Run: python -m training.train RUN_FOLDER [--pictures N] [--hours H] [--start-from RUN] [--device cpu|cuda]

The folder gets ``model/`` (the latest averaged weights in Hugging Face layout), ``heads.safetensors``,
``state.pt``, ``log.jsonl`` and ``curve.svg``. Difficulty rises when the current level is learnt, or has had
its time; the learning rate rises at first, stays, and falls over the last three quarters of the pictures or
hours, whichever ends first.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file

from training.batches import NO_LABEL, Batch, loader
from training.checkpoint import write_folder
from training.curve import draw_curve
from training.levels import LEVELS
from training.muon import Muon, narrow_type
from training.network import Network

MATRIX_RATE, LEARNING_RATE, WEIGHT_DECAY = 5e-3, 1.2e-3, 0.02  # the first for matrices, by Muon
WARMUP_STEPS, DECAY_SHARE = 100, 0.75
AVERAGE_DECAY = 0.999
CELLS_MASTERED, READ_MASTERED, SAID_MASTERED = 0.68, 0.8, 0.88
LEAST_STEPS_A_LEVEL, MOST_STEPS_A_LEVEL = 200, 500
KEEP_EVERY_S = 300
SEED = 20261124
HEADS = "heads.safetensors"


@dataclass
class Standing:
    """Where a run is; running shares of filled cells, of letters read and of words said guessed right."""

    step: int = 0
    pictures: int = 0
    seconds: float = 0.0
    level: int = 0
    level_step: int = 0
    text_loss: float = 6.0
    cell_loss: float = 5.0
    cells: float = 0.0
    read: float = 0.0
    said: float = 0.0


def pace(standing: Standing, total_pictures: int, total_hours: float) -> float:
    """Return which share of the full learning rate a step takes."""
    done = max(standing.pictures / total_pictures, standing.seconds / 3600 / total_hours)
    return min(1, (standing.step + 1) / WARMUP_STEPS, max(0.01, (1 - done) / DECAY_SHARE))


class Run:
    """One training run in a folder."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options, self.device = folder, options, torch.device(options.device)
        if not (folder / "state.pt").exists():  # a run keeps the tokens it began with
            write_folder(folder / "model")
        torch.manual_seed(SEED)
        self.network = Network(folder / "model")
        if options.start_from is not None:
            begin_with(self.network, options.start_from)
        self.network.to(self.device)
        if options.compile:
            for layer in self.network.language.model.text_model.layers:
                layer.compile(dynamic=True)
        self.average = copy.deepcopy(self.network.language.state_dict())
        matrices, others = split_parameters(self.network)
        wide = [p for p in others if p.ndim > 1]
        plain = [p for p in others if p.ndim <= 1]
        groups = [{"params": wide, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}]
        self.optimizers = {
            Muon(matrices, lr=MATRIX_RATE, weight_decay=WEIGHT_DECAY): MATRIX_RATE,
            torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), fused=True): LEARNING_RATE,
        }
        self.standing = Standing(level=options.level)
        self.is_stopping = False
        if (folder / "state.pt").exists():
            self._resume()

    def _resume(self) -> None:
        state = torch.load(self.folder / "state.pt", map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.standing = Standing(**{field.name: state["standing"][field.name] for field in fields(Standing)})

    def keep(self) -> None:
        """Write state and weights, each in one step."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "standing": asdict(self.standing),
        }
        torch.save(state, self.folder / "state.part")
        (self.folder / "state.part").replace(self.folder / "state.pt")
        save_weights(self.network, self.average, self.folder / "model")
        save_heads(self.network, self.folder)
        draw_curve(self.folder / "log.jsonl", self.folder / "curve.svg")

    def train(self) -> None:
        """Go on until all pictures are seen or a signal asks to stop."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(self, "is_stopping", True))
        options, standing = self.options, self.standing
        batches, shared_level = loader(
            self.folder / "model",
            batch_size=options.batch_size,
            first=standing.step,
            level=standing.level,
            seed=SEED,
            workers=options.workers,
        )
        narrow = torch.autocast(self.device.type, torch.bfloat16) if options.bf16 else nullcontext()
        kept_at_s = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=not options.progress) as progress:
            task = progress.add_task("training", total=options.pictures, completed=standing.pictures)
            while self._is_unfinished() and not self.is_stopping:
                started_s = time.monotonic()
                batch = _moved(next(batches), self.device)
                self._step(batch, narrow)
                standing.seconds += time.monotonic() - started_s
                if self._is_mastered():
                    standing.level, standing.level_step = standing.level + 1, 0
                    standing.cells = standing.read = standing.said = 0.0
                    shared_level.value = standing.level
                if standing.step % options.log_every == 0:
                    self._log()
                label = f"level {standing.level} cells {standing.cells:.2f} read {standing.read:.2f}"
                label = f"{label} said {standing.said:.2f}"
                progress.update(task, completed=standing.pictures, description=label)
                if time.monotonic() - kept_at_s > KEEP_EVERY_S:
                    self.keep()
                    kept_at_s = time.monotonic()
        self.keep()

    def _is_unfinished(self) -> bool:
        standing = self.standing
        return bool(
            standing.pictures < self.options.pictures and standing.seconds < 3600 * self.options.hours
        )

    def _step(self, batch: Batch, narrow: Any) -> None:  # noqa: ANN401 - torch's own type has no name
        standing = self.standing
        share = pace(standing, self.options.pictures, self.options.hours)
        for optimizer, rate in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        with narrow:
            guess = self.network(batch)
        self.network.zero_grad(set_to_none=True)
        guess.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        decay = min(AVERAGE_DECAY, (1 + standing.step) / (10 + standing.step))
        with torch.no_grad():
            for name, value in self.network.language.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        standing.step += 1
        standing.level_step += 1
        standing.pictures += len(batch.token_ids)
        standing.cell_loss += 0.02 * (guess.cell_loss.item() - standing.cell_loss)
        self._note("cells", guess.cells_right.item())
        if guess.logits is not None:
            standing.text_loss += 0.02 * (guess.text_loss.item() - standing.text_loss)
            self._judge(batch, guess.logits)

    def _judge(self, batch: Batch, logits: torch.Tensor) -> None:
        """Note the shares of tokens that were the likeliest, at the current level."""
        labels = batch.labels[:, 1:]
        is_right = logits[:, :-1].argmax(-1) == labels
        counts = (labels != NO_LABEL) & batch.is_current[:, None]
        reads = batch.is_read[:, 1:] & counts
        for name, chosen in (("read", reads), ("said", counts & ~batch.is_read[:, 1:])):
            if num := int(chosen.sum()):
                self._note(name, float((is_right & chosen).sum()) / num)

    def _note(self, name: str, share: float) -> None:
        before, speed = getattr(self.standing, name), max(0.03, 1 / (self.standing.level_step + 1))
        setattr(self.standing, name, before + speed * (share - before))

    def _is_mastered(self) -> bool:
        standing = self.standing
        if standing.level == len(LEVELS) - 1 or standing.level_step < LEAST_STEPS_A_LEVEL:
            return False
        if LEVELS[standing.level].is_page:
            is_learnt = standing.cells >= CELLS_MASTERED
        else:
            is_learnt = standing.read >= READ_MASTERED and standing.said >= SAID_MASTERED
        return is_learnt or standing.level_step >= MOST_STEPS_A_LEVEL

    def _log(self) -> None:
        line = {**asdict(self.standing), "at": time.strftime("%Y-%m-%dT%H:%M:%S")}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def split_parameters(network: Network) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """Return the matrices that map one hidden state to another, and everything else."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_inner = name.startswith("language.") and "embed" not in name and "lm_head" not in name
        (matrices if is_inner and parameter.ndim == 2 else others).append(parameter)
    return matrices, others


def begin_with(network: Network, folder: Path) -> None:
    """Take the averaged weights and the heads of another run, of the same sizes; it may lack some heads."""
    weights = load_file(folder / "model" / "model.safetensors")
    found = {f"language.{name}": value for name, value in weights.items()} | load_file(folder / HEADS)
    wanted = {name: value.shape for name, value in network.named_parameters()}
    given = {name: value.shape for name, value in found.items()}
    heads_alone = {name: wanted[name] for name in wanted.keys() - given.keys() if "language." not in name}
    if wanted != given | heads_alone:
        differing = sorted(dict(wanted.items() ^ given.items()))
        raise SystemExit(f"{folder} holds a network of other sizes: {', '.join(differing[:3])} differ.")
    network.load_state_dict(found, strict=False)


def save_heads(network: Network, folder: Path) -> None:
    """Write the heads that only training uses, for another run to begin with."""
    heads = {
        name: value.detach().to(torch.bfloat16).cpu().contiguous()
        for name, value in network.named_parameters()
        if not name.startswith("language.")
    }
    save_file(heads, folder / "heads.part")
    (folder / "heads.part").replace(folder / HEADS)


def save_weights(network: Network, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write averaged weights in bfloat16 as transformers would, through a file of another name."""
    names = {name for name, _ in network.language.named_parameters()}
    chosen = {name: weights[name].to(torch.bfloat16).cpu().contiguous() for name in sorted(names)}
    save_file(chosen, folder / "model.part", metadata={"format": "pt"})
    (folder / "model.part").replace(folder / "model.safetensors")


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(*(getattr(batch, field.name).to(device, non_blocking=True) for field in fields(Batch)))


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what a command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=3_000_000, help="how many to see in all")
    parser.add_argument("--hours", type=float, default=math.inf, help="how long to go on, in all")
    parser.add_argument("--start-from", type=Path, help="the folder of a run whose weights a new one takes")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--level", type=int, default=0, help="the one a new run begins with")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    no_bf16 = "compute in float32 even where bfloat16 is fast"
    parser.add_argument("--no-bf16", dest="bf16", action="store_false", help=no_bf16)
    parser.add_argument("--compile", action="store_true", help="a sixth faster; needs a C++ compiler")
    parser.add_argument("--log-every", type=int, default=50, help="steps between lines of the log")
    parser.add_argument("--no-progress", dest="progress", action="store_false")
    options = parser.parse_args(arguments)
    options.bf16 = options.bf16 and narrow_type(torch.device(options.device)) is torch.bfloat16
    return options


def main() -> None:
    """Read the command line and train."""
    options = read_options()
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    Run(options.folder, options).train()


if __name__ == "__main__":
    main()
