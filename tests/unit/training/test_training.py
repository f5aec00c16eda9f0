"""The training itself, in small: it learns, stops, goes on, and writes what the product loads."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training import checkpoint
from training.assets import FOLDER
from training.batches import FIRST_TALK, NO_LABEL, _collate, loader, make_sample
from training.checkpoint import make_tokenizer, write_folder
from training.evaluate import edit_distance, named_things
from training.levels import LEVELS
from training.muon import Muon, orthogonalised
from training.network import Network
from training.scenes import make_scene
from training.train import Run, read_options
from training.vocabulary import CHARACTERS, COLOURS, THINGS, plural

import smallsight
from smallsight.families.messages import Detail, Message, PicturePart, TextPart
from smallsight.families.smolvlm.processor import SmolVLMProcessor
from smallsight.settings import Settings

ROOT = Path(__file__).parents[3]
needs_fonts = pytest.mark.skipif(
    not (FOLDER / "usr").is_dir(),
    reason="python -m training.assets has not fetched the fonts (needs apt-get)",
)


def test_words_of_captions_are_tokens_and_what_is_read_is_spelt():
    tokenizer = make_tokenizer()
    said = tokenizer.encode(" There are two cats on a blue background.").tokens
    assert said == ["ĠThere", "Ġare", "Ġtwo", "Ġcats", "Ġon", "Ġa", "Ġblue", "Ġbackground", "."]
    assert tokenizer.encode("MONDAY").tokens == list("MONDAY")
    text = ' A chat. The messages say "É?" and\n"x".'
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    ("said", "wanted", "distance"), [("", "abc", 3), ("abc", "abc", 0), ("abd", "abc", 1), ("xabc", "abc", 1)]
)
def test_edit_distances(said, wanted, distance):
    assert edit_distance(said, wanted) == distance


def test_things_are_found_in_captions_but_not_in_what_they_quote():
    assert named_things('Two mice and a red bus. The text says "cat".') == {"mouse", "bus"}


def command_line(folder, pictures, *, level=0, log_every=2, start_from=None):
    arguments = [str(folder), "--pictures", str(pictures), "--level", str(level), "--batch-size", "2"]
    arguments += ["--workers", "0", "--threads", "1", "--log-every", str(log_every), "--no-progress"]
    return arguments if start_from is None else [*arguments, "--start-from", str(start_from)]


def run_of(folder, pictures, *, kind=Run, **options):
    folder.mkdir(exist_ok=True)
    return kind(folder, read_options(command_line(folder, pictures, **options)))


class Interrupted(Run):
    """A run that is asked to stop when the first line of its log is written."""

    def _log(self):
        super()._log()
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def small(monkeypatch):
    """A network with fewer and narrower layers, which learns the same in a tenth of the time."""
    for sizes, heads in (
        (checkpoint.VISION, {}),
        (checkpoint.TEXT, {"num_key_value_heads": 2, "head_dim": 32}),
    ):
        fewer = {
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        }
        for name, size in (fewer | heads).items():
            monkeypatch.setitem(sizes, name, size)


@pytest.fixture
def signals():
    """A run in this process replaces the handlers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("shape", [(24, 24), (16, 40), (40, 16)])
def test_muon_brings_singular_values_near_one_and_keeps_their_vectors(shape):
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape)
    for matrix, made in zip(matrices, orthogonalised(matrices).float(), strict=True):
        values = torch.linalg.svdvals(made)
        assert values.max() < 1.3
        assert values.median() > 0.6
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        inside = left.T @ made @ right.T
        assert (inside - torch.diag(inside.diagonal())).abs().max() < 0.05


def test_muon_descends():
    torch.manual_seed(0)
    wanted, matrix = torch.randn(8, 12), torch.nn.Parameter(torch.zeros(8, 12))
    optimizer = Muon([matrix], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        loss = (matrix - wanted).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01


@needs_fonts
def test_what_is_said_is_placed_where_it_lies(tmp_path):
    write_folder(tmp_path)
    processor = SmolVLMProcessor.load(tmp_path)
    num_letters = 0
    for seed in range(60):
        sample = make_sample(processor, make_scene(seed, LEVELS[FIRST_TALK]), random.Random(seed))
        for token, label, place in zip(sample.token_ids, sample.labels, sample.places, strict=True):
            if NO_LABEL in (place, label):  # the latter: what the token before it asks about
                continue
            assert token == label
            said = processor.tokenizer.decode([token])
            shown = sample.cells[0][divmod(place, 24)]
            if said in CHARACTERS:
                num_letters += shown == 1 + CHARACTERS.index(said)
            elif said.strip().lower() in THINGS:
                assert shown in (0, 1 + len(CHARACTERS) + THINGS.index(said.strip().lower()))
    assert num_letters > 150


@needs_fonts
def test_what_a_question_names_has_its_place_and_its_colour(tmp_path):
    write_folder(tmp_path)
    processor = SmolVLMProcessor.load(tmp_path)
    num_named = 0
    for seed in range(60):
        scene = make_scene(seed, LEVELS[FIRST_TALK + 1])
        sample = make_sample(processor, scene, random.Random(seed))
        for index, hue in enumerate(sample.hues):
            if hue == NO_LABEL:
                continue
            name = processor.tokenizer.decode([sample.token_ids[index]]).strip()
            meant = [thing for thing in scene.things if name in (thing.name, plural(thing.name))]
            assert {thing.colour for thing in meant} == {list(COLOURS)[hue]}
            if (place := sample.places[index + 1]) != NO_LABEL:
                row, column = divmod(place, 24)
                left, top, right, bottom = meant[0].box
                assert left <= 8 * (column + 1)
                assert 8 * column <= right
                assert top <= 8 * (row + 1)
                assert 8 * row <= bottom
                num_named += 1
    assert num_named > 30


@needs_fonts
@pytest.mark.usefixtures("small", "signals")
def test_a_run_can_begin_with_the_weights_of_another(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    run_of(first, 4).train()
    run_of(second, 2, start_from=first).train()
    before, after = (load_file(folder / "model" / "model.safetensors") for folder in (first, second))
    name = "model.vision_model.encoder.layers.0.mlp.fc1.weight"
    change = (after[name].float() - before[name].float()).norm() / before[name].float().norm()
    assert 0 < change < 0.05
    heads = [load_file(folder / "heads.safetensors")["cells.weight"].float() for folder in (first, second)]
    assert 0 < (heads[1] - heads[0]).norm() / heads[0].norm() < 0.05


@pytest.mark.mostly_slow(1)
@needs_fonts
@pytest.mark.usefixtures("small", "signals")
@pytest.mark.parametrize(
    ("level", "loss", "least_fall"), [(0, "cell_loss", 0.02), (FIRST_TALK, "text_loss", 0.2)]
)
def test_a_run_learns(tmp_path, level, loss, least_fall):
    run = run_of(tmp_path, 80, level=level)
    unseen, _ = loader(tmp_path / "model", batch_size=8, first=10**6, level=level, seed=1, workers=0)
    batch = next(unseen)

    def loss_of_unseen():
        with torch.no_grad():
            return getattr(run.network(batch), loss).item()

    before = loss_of_unseen()
    run.train()
    assert loss_of_unseen() < before - least_fall


@pytest.mark.mostly_slow(1)
@needs_fonts
@pytest.mark.usefixtures("small", "signals")
@pytest.mark.parametrize("level", [0, FIRST_TALK])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, level):
    whole = run_of(tmp_path / "whole", 12, level=level)
    whole.train()
    stopped = run_of(tmp_path / "stopped", 12, level=level, log_every=3, kind=Interrupted)
    stopped.train()
    assert stopped.standing.step == 3
    again = run_of(tmp_path / "stopped", 12)
    again.train()
    assert replace(again.standing, seconds=0) == replace(whole.standing, seconds=0)
    assert (again.standing.step, again.standing.level) == (6, level)
    torch.testing.assert_close(again.network.state_dict(), whole.network.state_dict())
    torch.testing.assert_close(again.average, whole.average)
    assert [line["step"] for line in log_of(tmp_path / "stopped")] == [3, 4, 6]
    assert (tmp_path / "stopped" / "curve.svg").read_text().endswith("</svg>")


@pytest.mark.slow
@needs_fonts
@pytest.mark.usefixtures("signals")
def test_a_run_stops_when_asked_and_writes_what_is_loaded(tmp_path):
    command = [sys.executable, "-m", "training.train", *command_line(tmp_path, 100_000, level=FIRST_TALK)]
    with (tmp_path / "errors.txt").open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stderr=errors)

    def told():
        return (tmp_path / "errors.txt").read_text()

    while not (tmp_path / "log.jsonl").exists():
        assert process.poll() is None, told()
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0, told()
    before = log_of(tmp_path)[-1]
    assert before["level"] == FIRST_TALK
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 20_000_000

    again = run_of(tmp_path, 100_000)
    assert before["step"] <= again.standing.step < before["step"] + 100

    with smallsight.load(tmp_path / "model", settings=Settings(home=tmp_path / "home")) as model:
        answer = model.describe(make_scene(1, LEVELS[3]).image, max_tokens=8)
    assert answer.usage.image_tokens == 36


def test_the_folder_holds_what_transformers_reads(tmp_path):
    from transformers import AutoConfig, AutoTokenizer

    write_folder(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert config.model_type == "idefics3"
    assert config.image_token_id == tokenizer.convert_tokens_to_ids("<image>")
    text = ' Two cats. The text says "HI you".'
    assert tokenizer.encode(text) == make_tokenizer().encode(text).ids


@needs_fonts
@pytest.mark.usefixtures("small")
def test_questions_asked_apart_are_as_if_each_was_the_only_one(tmp_path):
    write_folder(tmp_path)
    processor = SmolVLMProcessor.load(tmp_path)
    torch.manual_seed(0)
    network = Network(tmp_path).eval()
    num_segments = 0
    for seed in range(12):
        scene = make_scene(seed, LEVELS[FIRST_TALK])
        batch = _collate([make_sample(processor, scene, random.Random(seed))], [True], processor)
        segments = batch.segments[0]
        if int(segments.max()) == 0:
            continue
        together = network(batch).logits[0]
        for number in range(1, int(segments.max()) + 1):
            chosen = (segments == 0) | (segments == number)
            chosen[int((batch.labels[0] != NO_LABEL).nonzero()[-1]) + 1 :] = False  # padding
            if not bool((segments[chosen] == number).any()):
                continue
            num_segments += 1
            ids = batch.token_ids[:, chosen]
            asked, said = processor.decode(ids[0].tolist()).split("Assistant:")
            question = asked.removeprefix("User:").strip()
            prompt = processor.prepare(
                [Message("user", (PicturePart(scene.image), TextPart(question)))], detail=Detail.AUTO
            )
            assert ids[0].tolist()[: len(prompt.token_ids)] == list(prompt.token_ids)
            assert said.strip()
            pixels = batch.tiles.float().div(127.5).sub(1)
            alone = network.language(input_ids=ids, pixel_values=pixels).logits[0]
            torch.testing.assert_close(together[chosen], alone, atol=2e-4, rtol=1e-3)
    assert num_segments > 20
