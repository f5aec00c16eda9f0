from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

import handmade_validation as handmade
from smallsight.catalog.entry import Verdict
from smallsight.errors import ArgumentError
from smallsight.validation.comparing_results import ResultComparison, Trend, compare_results, read_result
from smallsight.validation.result import PictureResult, ValidationResult


def with_qualities(qualities: list[float], **how: object) -> ValidationResult:
    """Return a result with one picture for each quality."""
    pictures = tuple(handmade.picture(number, one) for number, one in enumerate(qualities))
    return handmade.result(0, extra=pictures, **how)  # type: ignore[arg-type]


def drawn(seed: int, mean_loss: float, num: int = 60) -> list[float]:
    values = random.Random(seed)
    return [max(0.0, 1 - values.expovariate(1 / mean_loss)) for _ in range(num)]


def trend(comparison: ResultComparison, label: str) -> Trend:
    return next(one.trend for one in comparison.changes if one.label == label)


def test_a_result_compared_with_itself_has_no_change():
    result = with_qualities(drawn(1, 0.1))
    found = compare_results(result, result)
    assert {one.trend for one in found.changes} == {Trend.SAME}
    assert not found.is_regression
    assert found.notes == ()


def test_a_loss_on_every_picture_is_seen_although_the_intervals_overlap():
    qualities = drawn(1, 0.1)
    old, new = with_qualities(qualities), with_qualities([max(0.0, one - 0.01) for one in qualities])
    assert old.summary.quality.low < new.summary.quality.high
    found = compare_results(old, new)
    assert found.is_paired
    assert trend(found, "quality") is Trend.WORSE
    assert "quality" in {one.label for one in found.regressions}
    assert trend(compare_results(new, old), "quality") is Trend.BETTER
    assert not compare_results(new, old).is_regression


def test_gains_and_losses_that_cancel_out_are_noise():
    values = random.Random(5)
    qualities = [0.5 + 0.4 * values.random() for _ in range(60)]
    moved = [one + (0.05 if index % 2 else -0.05) for index, one in enumerate(qualities)]
    found = compare_results(with_qualities(qualities), with_qualities(moved))
    assert trend(found, "quality") is Trend.NOISE
    assert not found.is_regression


def test_a_certain_loss_that_is_tiny_is_noise():
    qualities = drawn(1, 0.1)
    found = compare_results(with_qualities(qualities), with_qualities([one * 0.9999 for one in qualities]))
    assert trend(found, "quality") is Trend.NOISE


def test_other_pictures_are_compared_by_their_intervals():
    qualities = drawn(1, 0.1)
    old = with_qualities(qualities)
    near = with_qualities([0.99 * one for one in qualities]).model_copy(update={"picture_set": "f" * 64})
    far = with_qualities(drawn(2, 0.4)).model_copy(update={"picture_set": "f" * 64})
    found = compare_results(old, near)
    assert trend(found, "quality") is Trend.NOISE
    assert any("not picture by picture" in note for note in found.notes)
    assert trend(compare_results(old, far), "quality") is Trend.WORSE


@pytest.mark.parametrize("num_bad", [0, 1, 20])
def test_more_gibberish_is_a_regression_once_it_is_more_than_chance(num_bad: int):
    pictures = [handmade.picture(number, 0.9) for number in range(60)]
    bad = [handmade.picture(number, 0.9, gibberish=number < num_bad) for number in range(60)]
    old = handmade.result(0, extra=tuple(pictures))
    new = handmade.result(0, extra=tuple(bad))
    expected = {0: Trend.SAME, 1: Trend.NOISE, 20: Trend.WORSE}[num_bad]
    assert trend(compare_results(old, new), "gibberish") is expected


def test_a_worse_verdict_is_a_regression_if_both_are_decided():
    old, new = handmade.result(verdict=Verdict.STABLE), handmade.result(verdict=Verdict.EXPERIMENTAL)
    assert [one.label for one in compare_results(old, new).regressions] == ["verdict"]
    undecided = new.model_copy(update={"judgement": new.judgement.model_copy(update={"is_decided": False})})
    assert not compare_results(old, undecided).is_regression


def scaled_speed(result: ValidationResult, factor: float) -> ValidationResult:
    speed = result.variant.speed
    assert speed is not None
    faster = {
        name: {**value, **{key: value[key] * factor for key in ("median", "low", "high")}}
        for name, value in speed.model_dump().items()
    }
    variant = result.variant.model_copy(update={"speed": type(speed).model_validate(faster)})
    return result.model_copy(update={"variant": variant})


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(0.5, Trend.WORSE), (0.97, Trend.NOISE), (0.85, Trend.NOISE), (2.0, Trend.BETTER)],
)
def test_speed_has_changed_where_the_rounds_do_not_overlap(factor: float, expected: Trend):
    old = handmade.result()
    assert trend(compare_results(old, scaled_speed(old, factor)), "tokens per second") is expected


def test_the_speed_of_another_machine_is_no_regression():
    old = handmade.result()
    new = scaled_speed(old, 0.5)
    new = new.model_copy(update={"machine": old.machine.model_copy(update={"num_threads": 1})})
    found = compare_results(old, new)
    assert trend(found, "tokens per second") is Trend.UNKNOWN
    assert not found.is_regression


def test_more_memory_is_a_regression_beyond_what_measurements_differ_by():
    old = handmade.result()
    assert old.variant.memory is not None

    def grown(factor: float) -> ValidationResult:
        memory = old.variant.memory.model_copy(
            update={"private_peak_bytes": int(old.variant.memory.private_peak_bytes * factor)}
        )
        return old.model_copy(update={"variant": old.variant.model_copy(update={"memory": memory})})

    assert [one.label for one in compare_results(old, grown(1.04)).regressions] == [
        "peak of an answer, private"
    ]
    assert not compare_results(old, grown(1.02)).is_regression


def test_a_result_on_a_server_is_compared_without_memory_and_speed():
    old = handmade.result()
    far = old.variant.model_copy(update={"memory": None, "speed": None})
    labels = {one.label for one in compare_results(old, old.model_copy(update={"variant": far})).changes}
    assert "quality" in labels
    assert not {"weights", "tokens per second"} & labels


def test_pictures_that_fail_now_are_pointed_out():
    failed = PictureResult(picture="x.png", sha256="0" * 64, question="", problem="It is damaged.")
    found = compare_results(handmade.result(), handmade.result(extra=(failed,)))
    assert "1 pictures failed, 0 did before." not in found.notes
    assert "1 picture failed, none did before." in found.notes


def test_what_was_written_is_read(tmp_path: Path):
    path = tmp_path / "result.json"
    path.write_text(handmade.result().model_dump_json(), encoding="utf-8")
    assert read_result(path) == handmade.result()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is not a result of a validation, or it is damaged (Invalid JSON"),
        (b"\xff\xfe\x00", "is not a result of a validation, or it is damaged (Invalid JSON"),
        (b"[1, 2]", "is not a result of a validation, or it is damaged (Input should be an object"),
        (b'{"format_version": 1, "question": 7}', "or it is damaged (measured_at: Field required"),
    ],
)
def test_a_file_that_is_no_result_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, expected: str):
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(ArgumentError) as caught:
        read_result(path)
    assert expected in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize("version", [2, 0, "1.0", None])
def test_a_result_of_another_version_says_so(tmp_path: Path, version: object):
    path = tmp_path / "result.json"
    content = {**json.loads(handmade.result().model_dump_json()), "format_version": version}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"has format .*, and this version of Smallsight reads 1"):
        read_result(path)


def test_what_is_no_file_is_not_opened(tmp_path: Path):
    with pytest.raises(ArgumentError, match="cannot be read: No such file"):
        read_result(tmp_path / "gone.json")
    with pytest.raises(ArgumentError, match="is not a result"):
        read_result(tmp_path)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ArgumentError, match="is not a result"):
        read_result(tmp_path / "pipe.json")
