"""The recogniser's last layer in parts: common classes always, all where one of the others may win."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image, ImageDraw, ImageFont

from smallsight.reading.class_layers import PartedClasses, part_classes
from smallsight.reading.class_steps import StepClassifier, steps_of
from smallsight.reading.line_recogniser import decoded
from smallsight.reading.ocr_networks import (
    RECOGNISER,
    for_pixels,
    load_ocr_networks,
    read_network,
)

CHARACTERS = ("", *"abc", *(chr(0x4E00 + number) for number in range(90)), "é", " ")
STEPS, FEATURES = 7, 16
IN_F32 = {"INFERENCE_PRECISION_HINT": "f32"}


def network(*, has_softmax: bool = True, scale: float = 1.0) -> ov.Model:
    values = np.random.default_rng(0)
    features = op.parameter([1, STEPS, FEATURES], np.float32)
    weights = values.normal(0, scale, (FEATURES, len(CHARACTERS))).astype(np.float32)
    bias = values.normal(0, 1, len(CHARACTERS)).astype(np.float32)
    logits = op.add(op.constant(bias), op.matmul(features, op.constant(weights), False, False))
    return ov.Model([op.softmax(logits, 2) if has_softmax else op.sigmoid(logits)], [features])


def answers(parts: PartedClasses, features: np.ndarray):
    logits, seen = ov.compile_model(parts.few, "CPU", IN_F32)(features).values()
    every = None if parts.every is None else ov.compile_model(parts.every, "CPU", IN_F32)
    classifier = StepClassifier(parts.few_F, parts.num_common, every)
    found = classifier.steps(logits[0], seen[0])
    classifier.settle()
    return found


def test_letters_are_common_and_ideographs_are_not():
    parts = part_classes(network(), CHARACTERS)
    common = parts.few_F[: parts.num_common].tolist()
    assert [CHARACTERS[index] for index in common] == ["", "a", "b", "c", "é", " "]
    assert set(parts.few_F[parts.num_common :]) <= set(range(4, 94))
    assert len(parts.few_F) > parts.num_common
    assert parts.every is not None


def test_steps_in_doubt_get_the_answer_of_all_classes():
    features = np.random.default_rng(1).normal(0, 1, (1, STEPS, FEATURES)).astype(np.float32)
    exact = steps_of(ov.compile_model(network(), "CPU", IN_F32)(features)[0][0])
    found = answers(part_classes(network(), CHARACTERS), features)
    assert {CHARACTERS[index] for index in exact.classes_T} & set(CHARACTERS[4:94])
    np.testing.assert_array_equal(found.classes_T, exact.classes_T)
    np.testing.assert_allclose(found.probabilities_T, exact.probabilities_T, rtol=1e-4)
    np.testing.assert_allclose(found.spaces_T, exact.spaces_T, rtol=1e-3, atol=1e-7)


def test_a_network_with_another_end_stays_whole():
    parts = part_classes(network(has_softmax=False, scale=0.1), CHARACTERS)
    assert parts.every is None
    assert parts.num_common == len(parts.few_F) == len(CHARACTERS)
    features = np.random.default_rng(2).normal(0, 1, (1, STEPS, FEATURES)).astype(np.float32)
    found = ov.compile_model(network(has_softmax=False, scale=0.1), "CPU", IN_F32)(features)[0][0]
    np.testing.assert_array_equal(answers(parts, features).classes_T, found.argmax(1))


def test_without_steps_in_doubt_nothing_is_computed():
    parts = part_classes(network(), CHARACTERS)
    classifier = StepClassifier(parts.few_F, parts.num_common, ov.compile_model(parts.every, "CPU"))
    classifier.settle()
    logits = np.full((3, len(parts.few_F)), -40.0, np.float32)
    logits[:, 2] = 40.0
    found = classifier.steps(logits, np.zeros((3, FEATURES), np.float32))
    classifier.settle()
    assert found.classes_T.tolist() == [2, 2, 2]
    assert found.probabilities_T.min() > 0.999


@pytest.mark.parametrize("text", ["the ferry leaves at 9:45", "TOTAL 17.50 EUR", "(a+b)/2 = c"])
def test_the_installed_recogniser_answers_as_the_whole_network(text: str):
    pytest.importorskip("rapidocr")
    networks = load_ocr_networks(1)
    assert networks.every_class is not None
    classifier = StepClassifier(networks.few_F, networks.num_common, networks.every_class)
    whole = ov.compile_model(for_pixels(read_network(RECOGNISER)), "CPU", IN_F32)
    image = Image.new("RGB", (544, 48), "white")
    ImageDraw.Draw(image).text((10, 24), text, "black", ImageFont.load_default(size=34), anchor="lm")
    line = np.asarray(image)[None]
    logits_TF, features_TD = networks.read_line[0](line[0])
    found = classifier.steps(logits_TF, features_TD)
    classifier.settle()
    exact = steps_of(whole(line)[0][0])
    assert decoded(found, networks.characters).text == decoded(exact, networks.characters).text == text
