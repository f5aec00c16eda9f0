"""The training itself, in small: it learns, stops, goes on, and writes what the product loads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training.assets import FOLDER
from training.batches import FIRST_TALK
from training.checkpoint import make_tokenizer, write_folder
from training.evaluate import edit_distance, named_things
from training.levels import LEVELS
from training.scenes import make_scene

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


def train(folder, pictures, *, batch_size=8, level=0):
    command = [sys.executable, "-m", "training.train", str(folder), "--pictures", str(pictures)]
    command += ["--level", str(level)]
    command += ["--batch-size", str(batch_size), "--workers", "0", "--threads", "1", "--no-progress"]
    with (folder / "errors.txt").open("w") as errors:
        return subprocess.Popen(command, cwd=ROOT, stderr=errors)


def errors_of(folder):
    return (folder / "errors.txt").read_text()


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@needs_fonts
@pytest.mark.parametrize(("level", "loss"), [(0, "cell_loss"), (FIRST_TALK, "text_loss")])
def test_a_run_stops_when_asked_goes_on_and_writes_what_is_loaded(tmp_path, level, loss):
    process = train(tmp_path, 100_000, level=level)
    while not (tmp_path / "log.jsonl").exists():
        assert process.poll() is None, errors_of(tmp_path)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, errors_of(tmp_path)
    before = log_of(tmp_path)[-1]
    assert before[loss] < (6.0 if loss == "text_loss" else 5.2)
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 20_000_000

    total = before["pictures"] + 8 * 70
    again = train(tmp_path, total)
    assert again.wait(300) == 0, errors_of(tmp_path)
    after = log_of(tmp_path)[-1]
    assert after["step"] > before["step"]
    assert after[loss] < before[loss]
    assert after["level"] == level
    assert (tmp_path / "curve.svg").read_text().endswith("</svg>")

    import smallsight
    from smallsight.settings import Settings

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
