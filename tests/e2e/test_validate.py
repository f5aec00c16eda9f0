"""Variants of the shipped model are measured against it in real processes, and judged."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
from benchmarks.broken_weights import flip_signs, write_broken
from PIL import Image

from smallsight.catalog.entry import Verdict
from smallsight.engine.torch.packages import has_torch
from smallsight.services.validating import ValidationRequest, validate
from smallsight.settings import Settings
from smallsight.validation.measured_system import WantedSystem, resolve_systems
from smallsight.validation.measuring_process import MeasuringProcess

from .serving import running

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHIPPED = ROOT / "src" / "smallsight" / "shipped" / "Smallsight-tiny"
TINY = "Smallsight-tiny"
SIDE_PX = 128
THREADS = 1  # of each process: two tests share two cores
MAX_TOKENS = 12
UNDECIDED = 12  # the exit code: two pictures are too few for a verdict


class Silent:
    def planned(self, plan):
        self.plan = plan

    def doing(self, what):
        pass

    def finished_piece(self):
        pass


def write_pictures(folder, num):
    """Write small copies of the example pictures, mirrored ones after the others."""
    folder.mkdir()
    found = sorted(path for path in EXAMPLES.rglob("*") if path.suffix in (".png", ".jpg", ".webp"))
    for number in range(num):
        image = Image.open(found[number % len(found)]).convert("RGB")
        image.thumbnail((SIDE_PX, SIDE_PX))
        if number >= len(found):
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image.putpixel((0, 0), (number, 0, 0))  # some are copies of each other
        image.save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("validating"), threads=THREADS)


def measured(settings, pictures, variants):
    request = ValidationRequest(
        tuple(variants), WantedSystem(TINY), pictures, max_tokens=MAX_TOKENS, num_rounds=1
    )
    with validate(request, settings, Silent()) as results:
        return results


@pytest.fixture(scope="module")
def quantised(settings, tmp_path_factory):
    """The shipped model in int8 and in int4, on 64 pictures."""
    pictures = write_pictures(tmp_path_factory.mktemp("quantised") / "pictures", 64)
    return measured(settings, pictures, [WantedSystem(TINY, "int8"), WantedSystem(TINY, "int4")])


@pytest.mark.slow
def test_quantised_variants_are_measured_on_64_pictures(quantised):
    int8, int4 = quantised
    assert [one.variant.system.name for one in quantised] == [f"{TINY}-int8", f"{TINY}-int4"]
    assert {one.summary.num_pictures for one in quantised} == {64}
    assert int8.judgement.verdict is Verdict.STABLE
    assert 0 < int8.summary.kl_nats.mean < 0.01 < int4.summary.kl_nats.mean < 1
    assert int8.summary.agreement.mean > 0.95 > int4.summary.agreement.mean
    assert all(one.tokens is not None and one.text is not None for one in int4.pictures)
    assert int8.base == int4.base


@pytest.mark.slow
def test_weights_and_memory_shrink_with_the_bits(quantised):
    int8, int4 = quantised
    base, eight, four = int8.base.memory, int8.variant.memory, int4.variant.memory
    assert base.weights_bytes > eight.weights_bytes > four.weights_bytes
    assert base.private_peak_bytes > eight.private_peak_bytes
    for memory in (base, eight, four):
        assert memory.before_bytes < memory.loaded_bytes <= memory.loading_peak_bytes
        assert memory.loaded_bytes < memory.peak_bytes
        assert memory.private_peak_bytes < memory.peak_bytes
    assert int8.base.predicted_weights_bytes == 4 * int4.variant.predicted_weights_bytes


@pytest.mark.slow
def test_speed_is_that_of_every_answer(quantised):
    for side in (quantised[0].base, quantised[0].variant):
        speed = side.speed
        assert speed.load_s.num == speed.pictures_per_min.num == 1
        assert speed.first_token_s.num == 16
        assert speed.first_token_s.low <= speed.first_token_s.median <= speed.first_token_s.high
        assert speed.tokens_per_s.low > 0


@pytest.fixture(scope="module")
def copies(settings, tmp_path_factory):
    """A copy of the shipped model whose weights have 5 % of their signs flipped, and an exact copy."""
    folder = tmp_path_factory.mktemp("copies")
    write_broken(SHIPPED, folder / "broken", flip_signs(0.05))
    shutil.copytree(SHIPPED, folder / "unchanged")
    pictures = write_pictures(folder / "pictures", 20)
    variants = [WantedSystem(str(folder / name), "bf16") for name in ("broken", "unchanged")]
    return measured(settings, pictures, variants)


@pytest.mark.slow
def test_a_broken_variant_must_not_be_shipped(copies):
    broken = copies[0]
    assert broken.judgement.verdict is Verdict.DO_NOT_SHIP
    assert broken.judgement.is_decided
    assert broken.summary.kl_nats.low > 1
    assert all(one.tokens.first_divergence is not None for one in broken.pictures)


@pytest.mark.slow
def test_an_unchanged_copy_diverges_by_exactly_nothing(copies):
    unchanged = copies[1]
    assert unchanged.judgement.verdict is Verdict.STABLE
    assert unchanged.judgement.is_decided
    assert all(one.tokens.kl_nats == one.tokens.max_kl_nats == 0 for one in unchanged.pictures)
    assert unchanged.summary.exact.low == unchanged.summary.agreement.low == 1


def rollup(pid: int) -> tuple[int, int]:
    """Return a process's resident bytes, and those without unchanged pages of libraries."""
    mappings = psutil.Process(pid).memory_maps(grouped=False)
    code = {one.path for one in mappings if "x" in one.perms and not one.path.startswith("[")}
    private = sum(one.anonymous if one.path in code else one.rss for one in mappings)
    return sum(one.rss for one in mappings), private


def test_memory_is_what_another_process_sees(settings, tmp_path):
    (picture,) = write_pictures(tmp_path / "pictures", 1).iterdir()
    _, variant = resolve_systems(WantedSystem(TINY, "int8"), None, settings)
    with MeasuringProcess(variant, settings, tmp_path / "log") as process:
        resident, private = rollup(process.pid)
        assert process.loaded.loaded_bytes == pytest.approx(resident, rel=0.03)
        assert process.loaded.private_loaded_bytes == pytest.approx(private, rel=0.03)
        answer = process.answer(
            {
                "path": str(picture),
                "sha256": hashlib.sha256(picture.read_bytes()).hexdigest(),
                "question": "Can you describe this image?",
                "max_tokens": 8,
            }
        )
        peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024
        assert answer.peak_bytes == pytest.approx(peak, rel=0.03)
        assert answer.peak_bytes >= rollup(process.pid)[0] * 0.97


def wait_for_answers(home, num):
    """Wait until a run has finished some answers, and return its folder."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for journal in home.glob("validation-runs/*/journal.jsonl"):
            if journal.read_text().count('"answer"') >= num:
                return journal.parent
        time.sleep(0.02)
    raise AssertionError("no answer in time")


def test_a_killed_validation_goes_on_where_it_was(smallsight, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 4)
    (pictures / "no picture.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (smallsight.home / "smallsight.toml").write_text("threads = 1\n")
    command = ("validate", TINY, "--precision", "int4", "--pictures", pictures, "--rounds", "1")
    command = (*command, "--max-tokens", "8", "--out", tmp_path / "report.html")
    first = smallsight.start(*command)
    folder = wait_for_answers(smallsight.home, 2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = (folder / "journal.jsonl").read_text().splitlines()
    out, err = smallsight.run(*command, code=12)
    assert "Continuing an interrupted run" in err
    assert "Verdict:" in out
    result = json.loads((tmp_path / "report.json").read_text())
    problems = {one["picture"]: one["problem"] for one in result["pictures"]}
    assert problems.pop("no picture.png")
    assert list(problems.values()) == ["", "", "", ""]
    assert (tmp_path / "report.html").stat().st_size > 10_000
    # What had been answered before the kill was not answered again, and nothing is left behind.
    answers = [json.loads(line)["record"] for line in before if '"piece": "answer"' in line]
    assert len(answers) >= 2
    texts = {one["base_answer"] for one in result["pictures"]}
    assert {one["text"] for one in answers if not one["problem"]} <= texts
    assert list((smallsight.home / "validation-runs").iterdir()) == []


def test_a_model_on_a_server_is_compared_by_its_texts(smallsight, tmp_path):
    pictures = write_pictures(tmp_path / "pictures", 2)
    (smallsight.home / "smallsight.toml").write_text("threads = 1\n")
    with running(tmp_path / "server", "--model", TINY, threads="1") as server:
        result = smallsight.json(
            *("validate", f"{server.url}/v1#{TINY}", "--against", TINY, "--pictures", pictures),
            *("--rounds", "1", "--max-tokens", "8", "--out", tmp_path),
            code=12,
        )
    assert result["variant"]["memory"] is None
    assert result["variant"]["system"]["kind"] == "server"
    assert result["variant"]["speed"]["pictures_per_min"]["num"] == 1
    assert result["summary"]["agreement"] is None
    assert [one["text"]["is_exact"] for one in result["pictures"]] == [True, True]


def test_what_cannot_be_validated_has_one_sentence(smallsight, tmp_path):
    _, err = smallsight.run("validate", TINY, "--precision", "int8", code=2)
    assert "--pictures is missing" in err
    _, err = smallsight.run("validate", TINY, "--pictures", tmp_path, code=2)
    assert "would be compared with itself" in err
    _, err = smallsight.run("validate", TINY, "--precision", "int8", "--pictures", tmp_path, code=3)
    assert "no pictures that can be read" in err


@pytest.mark.parametrize("engine", ["torch", "reference"])
def test_an_engine_is_compared_with_another_by_command(smallsight, tmp_path, engine):
    if engine == "torch" and not has_torch():
        pytest.skip("needs torch and transformers")
    pictures = write_pictures(tmp_path / "pictures", 2)
    both = ("--precision", "fp32", "--base-precision", "fp32", "--base-engine", "openvino")
    measure = ("--engine", engine, "--pictures", pictures, "--max-tokens", "6", "--rounds", "1")
    printed, told = smallsight.run("validate", TINY, *both, *measure, code=UNDECIDED)
    assert f"{TINY}-fp32 on the {engine} engine against {TINY}-fp32, 2 pictures." in told
    assert re.search(r"same answer +100 %", printed), printed
